"""A real Prometheus on loopback that scrapes a product, under the chart's rules."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml

from local.seaweedfs import HOST, free_port
from tests.operate.product import Product, await_until

RELEASE: Final = "assets-assetuploader"
NAMESPACE: Final = "assets"
RULES: Final = Path(__file__).parents[2] / "charts" / "assetuploader" / "files" / "alerts.yaml"


def of_this_release(text: str) -> str:
    """The chart's file, as the release RELEASE would get it."""
    names = {"NAMESPACE": NAMESPACE, "SERVICE": RELEASE, "CRONJOB": f"{RELEASE}-reconciler"}
    for word, name in names.items():
        text = text.replace(f"RELEASE_{word}", name)
    return text


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str
    http: urllib3.PoolManager

    def ask(self, path: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 -- JSON
        """What its API answers; fails on anything but success."""
        answer = self.http.request("GET", f"{self.url}/api/v1/{path}", fields=dict(parameters)).json()
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    def value(self, query: str) -> float:
        """The one value of a query."""
        (sample,) = self.ask("query", {"query": query})["result"]
        return float(sample["value"][1])


@contextmanager
def running_prometheus(product: Product) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the product every second and evaluates the chart's rules as often."""
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: apt-get install prometheus"
    port = free_port()
    target = {"targets": [f"{HOST}:{product.metrics_port}"], "labels": {"namespace": NAMESPACE, "pod": "a"}}
    with tempfile.TemporaryDirectory() as folder, urllib3.PoolManager(timeout=10, retries=False) as http:
        rules, configuration = Path(folder, "rules.yaml"), Path(folder, "prometheus.yaml")
        rules.write_text(of_this_release(RULES.read_text()))
        configuration.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(rules)],
                    "scrape_configs": [{"job_name": f"{RELEASE}-metrics", "static_configs": [target]}],
                }
            )
        )
        command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address={HOST}:{port}"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 -- Debian's
        prometheus = Prometheus(f"http://{HOST}:{port}", http)
        try:
            await_until("prometheus has scraped", lambda: _has_scraped(prometheus))
            yield prometheus
        finally:
            process.terminate()
            process.wait(20)


def _has_scraped(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.ask("query", {"query": "up == 1"})["result"])
    except (urllib3.exceptions.HTTPError, json.JSONDecodeError):
        return False
