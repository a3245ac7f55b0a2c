"""A real API server accepts every values file of ci/, custom resources included."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.cluster import CHART, Cluster, wait_until

# The Go modules that contain the CRDs, with the hashes that `go mod download -json` prints.
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
    """Download a module, compare its hash, and return its folder."""
    command = [go, "mod", "download", "-json", module]
    environ = os.environ | {"GONOSUMDB": "*"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environ)  # noqa: S603
    assert done.returncode == 0, f"go mod download {module}: {done.stdout}{done.stderr}"
    downloaded = json.loads(done.stdout)
    assert downloaded["Sum"] == MODULES[module], f"the content of {module} has changed"
    return Path(downloaded["Dir"])


@pytest.fixture(scope="module")
def crds(cluster: Cluster) -> Iterator[None]:
    """Create the CRDs that the examples need and the cluster lacks; delete them at the end."""
    present = {crd["metadata"]["name"] for crd in cluster.get("crds", "default")}
    missing = [name for name in CRDS if name not in present]
    go = shutil.which("go")
    if missing and not go:
        pytest.skip(f"the cluster lacks {', '.join(missing)}, and go, which downloads them, is not on the PATH")
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
def test_the_api_server_accepts_every_example(cluster: Cluster, namespace: str, values: str) -> None:
    """`--dry-run=server` accepts each object in a namespace that enforces Pod Security `restricted`."""
    path = str(CHART / "ci" / values)
    rendered = cluster.helm("template", "example", str(CHART), "-n", namespace, "-f", path)
    command = ["apply", "-n", namespace, "--dry-run=server", "-f", "-"]
    # kubectl learns about new kinds shortly after they are established, so retry.
    output = wait_until(values, lambda: cluster.kubectl(*command, stdin=rendered), 10)
    assert output.count("(server dry run)") == rendered.count("\nkind: ")
