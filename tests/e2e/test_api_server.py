"""Every example of ci/ is accepted by the real API server, its custom resources too."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.cluster import CHART, Cluster, wait_until

# Where the projects publish their CRDs: Go modules, and the hashes that `go mod download -json` says of them.
MODULES: Final = {
    "sigs.k8s.io/gateway-api@v1.4.0": "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
    "github.com/prometheus-operator/prometheus-operator@v0.86.1": "h1:pHUuiRErcFb3nFDox7RxoxpEN0FyT24GtYOkr2GBu04=",
}
GATEWAY, PROMETHEUS = MODULES
CRDS: Final = {
    "httproutes.gateway.networking.k8s.io": (
        GATEWAY,
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "servicemonitors.monitoring.coreos.com": (
        PROMETHEUS,
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
    "prometheusrules.monitoring.coreos.com": (
        PROMETHEUS,
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
}


def _download(go: str, module: str) -> Path:
    """The module's folder in Go's cache, its content checked against our own hash."""
    command = [go, "mod", "download", "-json", module]
    environ = os.environ | {"GONOSUMDB": "*"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environ)  # noqa: S603
    assert done.returncode == 0, f"go mod download {module}: {done.stdout}{done.stderr}"
    said = json.loads(done.stdout)
    assert said["Sum"] == MODULES[module], f"{module} is not what it was"
    return Path(said["Dir"])


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
        cluster.kubectl("create", "-f", str(_download(str(go), module) / file))
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
