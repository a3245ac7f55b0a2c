"""The dev loop on a copy of the sources: skaffold builds, installs, syncs an edited file, and cleans up."""

import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.e2e.asset import connected, send
from tests.e2e.cluster import Cluster, Image, Release, wait_until

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ("assetuploader", "service", "reconciler", "charts", "tools")


@pytest.fixture(scope="module")
def skaffold() -> str:
    """Return the path of skaffold; skip without it or without a Docker engine."""
    program = shutil.which("skaffold")
    if not program:
        pytest.skip("skaffold is not on the PATH")
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no Docker engine responds: skaffold cannot build")
    return program


@pytest.fixture
def project(cluster: Cluster, s3_image: Image, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the files that skaffold needs, and set this test's namespace."""
    assert cluster.helm_path  # the fixture adds helm to the PATH for skaffold
    monkeypatch.setenv("S3_IMAGE_REPOSITORY", s3_image.repository)
    for name in SOURCES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    config = (ROOT / "skaffold.yaml").read_text()
    assert config.count("namespace: assets\n") == 3
    (tmp_path / "skaffold.yaml").write_text(config.replace("namespace: assets\n", f"namespace: {namespace}\n"))
    return tmp_path


def _skaffold(program: str, project: Path, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        [program, *arguments, "--tag=e2e"] if arguments[0] == "run" else [program, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_skaffold_run_installs_and_delete_removes(
    skaffold: str, cluster: Cluster, project: Path, namespace: str
) -> None:
    """`skaffold run` installs the built image by its digest, and `skaffold delete` removes the release."""
    _skaffold(skaffold, project, "run")
    release = Release(cluster, "assets", namespace)
    [deployment] = cluster.get("deployments", namespace, f"--field-selector=metadata.name={release.fullname}")
    assert re.search(r":e2e@sha256:[0-9a-f]{64}$", deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    with connected(release) as client:
        wait_until("the API creates assets", client.can_create, 30)
        asset_id = client.store(b"by skaffold", is_pinned=True)
        assert client.download(asset_id, 90) == b"by skaffold"
    _skaffold(skaffold, project, "delete")
    assert "assets" not in cluster.helm("list", "--all", "--short", "-n", namespace).split()
    wait_until("the Deployment is gone", lambda: not _deployment_exists(cluster, namespace, release.fullname), 30)


def test_the_eks_profile_uses_roles_and_no_seaweedfs(
    skaffold: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`skaffold render -p eks` has the bucket and the roles of the environment, and no SeaweedFS."""
    role = "arn:aws:iam::111122223333:role/example"
    roles = {"SERVICE_ROLE_ARN": f"{role}-service", "RECONCILER_ROLE_ARN": f"{role}-reconciler"}
    for name, value in (roles | {"AWS_REGION": "eu-west-1", "AWS_BUCKET": "example-assets"}).items():
        monkeypatch.setenv(name, value)
    manifests = list(yaml.safe_load_all(_skaffold(skaffold, project, "render", "-p", "eks", "--digest-source=tag")))
    accounts = [each["metadata"]["annotations"] for each in manifests if each["kind"] == "ServiceAccount"]
    assert [account["eks.amazonaws.com/role-arn"] for account in accounts] == list(roles.values())
    [deployment] = [each for each in manifests if each["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert (env["AWS_BUCKET"], env.get("AWS_ACCESS_KEY_ID")) == ("example-assets", None)


def _deployment_exists(cluster: Cluster, namespace: str, name: str) -> bool:
    return any(found["metadata"]["name"] == name for found in cluster.get("deployments", namespace))


def test_skaffold_dev_runs_an_edited_file(skaffold: str, project: Path) -> None:
    """The running pod serves an edited source without a new image, through skaffold's port-forward."""
    with _dev(skaffold, project) as log:

        def forwarded_url() -> str | None:
            found = re.search(
                r"service/assets-assetuploader in namespace .* -> (http://127.0.0.1:\d+)", log.read_text()
            )
            return found and found[1]

        url = wait_until("skaffold forwards the API's port", forwarded_url, 400)
        wait_until("skaffold watches", lambda: "Watching for changes" in log.read_text(), 60)
        assert send("GET", f"{url}/livez").status == 200
        models = project / "service" / "models.py"
        source = models.read_text()
        assert source.count('default="UP"') == 1
        models.write_text(source.replace('default="UP"', 'default="EDITED"'))

        def edited() -> bool:
            try:
                return b"EDITED" in send("GET", f"{url}/healthcheck").body
            except OSError:  # the API is restarting
                return False

        wait_until("the edited API responds", edited, 60)
        assert "Syncing 1 files" in log.read_text()


@contextmanager
def _dev(program: str, project: Path) -> Iterator[Path]:
    """Run `skaffold dev`, yield the path of its log, and stop it as Ctrl-C does."""
    log = project / "dev.log"
    with log.open("w") as out, subprocess.Popen([program, "dev"], cwd=project, stdout=out, stderr=out) as process:  # noqa: S603
        try:
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    assert "uninstalled" in log.read_text(), log.read_text()
