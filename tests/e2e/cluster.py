"""kubectl and helm on the cluster of the current kubeconfig. Works on any cluster."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

CHART: Final = Path(__file__).parents[2] / "charts" / "assetuploader"
SELECTOR: Final = "app.kubernetes.io/component"

Manifest = dict[str, Any]
T = TypeVar("T")


class CommandError(Exception):
    """A command failed; the message contains its output."""


def wait_until(claim: str, probe: Callable[[], T | None], seconds: float) -> T:
    """Call the probe until its result is true, and return that. Fail with the claim if it never is in this time."""
    deadline = time.monotonic() + seconds
    while not (result := probe()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {claim} (last result: {result!r})"
        time.sleep(0.25)
    return result


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster of the current kubeconfig, reached with kubectl and helm at these paths."""

    kubectl_path: str
    helm_path: str

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 120) -> str:
        """Run kubectl; return its standard output."""
        return _run([self.kubectl_path, *arguments], stdin, seconds)

    def helm(self, *arguments: str, values: Mapping[str, Any] | None = None, seconds: float = 180) -> str:
        """Run helm, with these values added to those in the arguments; return its standard output."""
        if values is None:
            return _run([self.helm_path, *arguments], None, seconds)
        return _run([self.helm_path, *arguments, "-f", "-"], yaml.safe_dump(dict(values)), seconds)

    def get(self, kind: str, namespace: str, *arguments: str) -> list[Manifest]:
        """Return all objects of a kind, or those that the arguments select."""
        text = self.kubectl("-n", namespace, "get", kind, "-o", "json", "--ignore-not-found", *arguments)
        found = json.loads(text or '{"items": []}')
        items: list[Manifest] = found.get("items", [found])
        return items

    @contextmanager
    def forward(self, namespace: str, target: str, port: int | str, local: int | None = None) -> Iterator[int]:
        """Run `kubectl port-forward` to a local port, by default a free one."""
        command = [self.kubectl_path, "-n", namespace, "port-forward", target, f"{local or ''}:{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout
            assert process.stderr
            try:
                found = re.search(r"127\.0\.0\.1:(\d+) ->", process.stdout.readline())
                if not found:
                    raise CommandError(f"{' '.join(command)}: {process.stderr.read()}")
                yield int(found[1])
            finally:
                process.terminate()

    def diagnostics(self, namespace: str) -> str:
        """Return the pods, events and logs of a namespace."""
        commands: list[Sequence[str]] = [
            ("get", "pods", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "-l", "app.kubernetes.io/name=assetuploader", "--all-containers", "--tail=20"),
        ]
        outputs = []
        for command in commands:
            try:
                outputs.append(self.kubectl("-n", namespace, *command))
            except CommandError as error:
                outputs.append(str(error))
        return "\n".join(outputs)


def _run(command: list[str], stdin: str | None, seconds: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            command, input=stdin or "", capture_output=True, text=True, check=False, timeout=seconds, env=os.environ
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{' '.join(command)}: did not end within {seconds:g} s") from error
    if done.returncode:
        raise CommandError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as in the values of the chart."""

    repository: str
    tag: str

    @staticmethod
    def parse(text: str) -> "Image":
        """Parse repository:tag or repository:tag@digest; the repository may have a port."""
        repository, colon, tag = text.partition("@")[0].rpartition(":")
        if not colon or "/" in tag:
            raise ValueError(f"{text} has no tag")
        return Image(repository, text[len(repository) + 1 :])

    @property
    def values(self) -> Manifest:
        """Values of the chart for this image."""
        return {"repository": self.repository, "tag": self.tag, "pullPolicy": "IfNotPresent"}

    def __str__(self) -> str:
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True)
class Release:
    """One installed release of the chart."""

    cluster: Cluster
    name: str
    namespace: str
    s3_of: str = ""
    """The release whose SeaweedFS this one uses; empty: its own."""

    def pods(self, component: str) -> list[Manifest]:
        """Return the pods of one component of this release; the namespace may contain other releases."""
        selector = f"{SELECTOR}={component},app.kubernetes.io/instance={self.name}"
        return self.cluster.get("pods", self.namespace, "-l", selector)

    @property
    def fullname(self) -> str:
        """Name of the Deployment and the Service."""
        return f"{self.name}-assetuploader"

    @property
    def s3_service(self) -> str:
        """Name of the Service of SeaweedFS."""
        return f"{self.s3_of or self.name}-assetuploader-s3"

    @property
    def cronjob(self) -> str:
        """Name of the CronJob."""
        return f"{self.fullname}-reconciler"

    def upgrade(self, chart: Path, values: Mapping[str, Any]) -> None:
        """Run `helm upgrade` with these values added to the installed ones, and wait for the rollout."""
        self.cluster.helm(
            "upgrade", self.name, str(chart), "-n", self.namespace, "--reuse-values", "--wait", values=values
        )

    def start_run(self, name: str) -> None:
        """Start one run of the reconciler, as the schedule does."""
        self.cluster.kubectl("-n", self.namespace, "create", "job", name, f"--from=cronjob/{self.cronjob}")

    def wait_for_job(self, name: str, seconds: float = 90) -> Manifest:
        """Wait until a run has ended; return its final condition."""

        def ended() -> Manifest | None:
            [job] = self.cluster.get("jobs", self.namespace, f"--field-selector=metadata.name={name}")
            conditions = job.get("status", {}).get("conditions", [])
            final = [
                found for found in conditions if found["type"] in {"Complete", "Failed"} and found["status"] == "True"
            ]
            return final[0] if final else None

        return wait_until(f"job {name} ends", ended, seconds)

    def job_pods(self, name: str) -> list[Manifest]:
        """Return the pods of one run."""
        return self.cluster.get("pods", self.namespace, "-l", f"batch.kubernetes.io/job-name={name}")

    def summaries(self, job: str) -> list[Manifest]:
        """Return the run_finished log line of each pod of a finished run."""
        summaries = []
        for pod in self.job_pods(job):
            log = self.cluster.kubectl("-n", self.namespace, "logs", pod["metadata"]["name"])
            summaries += [entry for line in log.splitlines() if (entry := json.loads(line))["event"] == "run_finished"]
        return summaries


Install = Callable[..., Release]
"""A function that installs a release; tests/e2e/conftest.py has two."""
