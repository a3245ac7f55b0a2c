"""Every example of ci/ is accepted by the real API server, its custom resources too."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.cluster import CHART, Cluster, wait_until

# Where the projects publish their CRDs, as Go modules: what, which module, which file of it.
CRDS: Final = {
    "httproutes.gateway.networking.k8s.io": (
        "sigs.k8s.io/gateway-api@v1.4.0",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "servicemonitors.monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.86.1",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    "prometheusrules.monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.86.1",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}


@pytest.fixture(scope="module")
def crds(cluster: Cluster) -> Iterator[None]:
    """The CRDs that the examples need: what the cluster lacks is put in, and taken out again."""
    there = {crd["metadata"]["name"] for crd in cluster.get("crds", "default")}
    missing = [name for name in CRDS if name not in there]
    go = shutil.which("go")
    if missing and not go:
        pytest.skip(f"the cluster lacks {', '.join(missing)}, and there is no go on the PATH to fetch them with")
    for name in missing:
        module, file = CRDS[name]
        done = subprocess.run(  # noqa: S603
            [str(go), "mod", "download", "-json", module], capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"go mod download {module}: {done.stdout}{done.stderr}"
        cluster.kubectl("create", "-f", str(Path(json.loads(done.stdout)["Dir"]) / file))
    for name in missing:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
    yield
    for name in missing:
        cluster.kubectl("delete", "crd", name)


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("values", sorted(path.name for path in (CHART / "ci").glob("*-values.yaml")))
def test_every_example_is_accepted_by_the_api_server(cluster: Cluster, namespace: str, values: str) -> None:
    """`--dry-run=server` creates each object of each example, where Pod Security `restricted` is enforced."""
    path = str(CHART / "ci" / values)
    rendered = cluster.helm("template", "example", str(CHART), "-n", namespace, "-f", path)
    command = ["apply", "-n", namespace, "--dry-run=server", "-f", "-"]
    # A kubectl that knows of the new kinds only a moment after they are established.
    said = wait_until(values, lambda: cluster.kubectl(*command, stdin=rendered), 10)
    assert said.count("(server dry run)") == rendered.count("\nkind: ")
