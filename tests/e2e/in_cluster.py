"""Scripts that run in a pod of the image under test, for loads that a port-forward cannot carry."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.cluster import Image, Manifest, Release, wait_until


@dataclass(frozen=True, slots=True)
class Script:
    """A running script."""

    release: Release
    pod: str

    def log(self) -> str:
        """Return the output so far."""
        return self.release.cluster.kubectl("-n", self.release.namespace, "logs", self.pod)

    def phase(self) -> str:
        """Return Pending, Running, Succeeded or Failed."""
        namespace, selector = self.release.namespace, f"--field-selector=metadata.name={self.pod}"
        [pod] = self.release.cluster.get("pods", namespace, selector)
        phase: str = pod["status"]["phase"]
        return phase

    def wait_for_line(self, text: str, seconds: float = 60) -> None:
        """Wait until the output contains this text."""
        wait_until(f"{self.pod} prints {text!r}", lambda: self.phase() != "Pending" and text in self.log(), seconds)

    def touch(self, path: str) -> None:
        """Create an empty file in the pod."""
        source = f"import pathlib; pathlib.Path({path!r}).touch()"
        self.release.cluster.kubectl("-n", self.release.namespace, "exec", self.pod, "--", "python3", "-c", source)

    def result(self, seconds: float = 120) -> Any:  # noqa: ANN401 - JSON
        """Wait until the script has succeeded; return its last line of output, parsed."""
        wait_until(f"{self.pod} ends", lambda: self.phase() in {"Succeeded", "Failed"}, seconds)
        log = self.log()
        assert self.phase() == "Succeeded", log
        return json.loads(log.splitlines()[-1])


@contextmanager
def running(release: Release, image: Image, source: str, *arguments: str) -> Iterator[Script]:
    """Run Python source in a pod in the release's namespace; delete the pod at the end of the block."""
    script = Script(release, f"script-{secrets.token_hex(3)}")
    release.cluster.kubectl(
        "-n", release.namespace, "apply", "-f", "-", stdin=json.dumps(_pod(script.pod, image, [source, *arguments]))
    )
    try:
        yield script
    finally:
        release.cluster.kubectl("-n", release.namespace, "delete", "pod", script.pod, "--wait=false")


def _pod(name: str, image: Image, arguments: list[str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "script",
                    "image": str(image),
                    "command": ["python3", "-u", "-c", *arguments],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
