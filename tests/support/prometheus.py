"""A real Prometheus on loopback that scrapes a service and evaluates the chart's rules."""

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

from dev.seaweedfs import HOST, free_port
from tests.support.product import Product, await_until

RELEASE: Final = "assets-assetuploader"
NAMESPACE: Final = "assets"
RULES: Final = Path(__file__).parents[2] / "charts" / "assetuploader" / "files" / "alerts.yaml"


def replace_release_names(text: str) -> str:
    """Replace the RELEASE_ words in a file of the chart, as the chart does."""
    names = {"NAMESPACE": NAMESPACE, "SERVICE": RELEASE, "CRONJOB": f"{RELEASE}-reconciler"}
    for word, name in names.items():
        text = text.replace(f"RELEASE_{word}", name)
    return text


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str
    http: urllib3.PoolManager

    def query_api(self, path: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 -- JSON
        """Return the data of an API response; fail unless its status is success."""
        response = self.http.request("GET", f"{self.url}/api/v1/{path}", fields=dict(parameters)).json()
        assert response["status"] == "success", f"{parameters}: {response}"
        return response["data"]

    def value(self, query: str) -> float:
        """Return the single value of a query."""
        (sample,) = self.query_api("query", {"query": query})["result"]
        return float(sample["value"][1])


@contextmanager
def running_prometheus(product: Product) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the product and evaluates the chart's rules every second."""
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: apt-get install prometheus"
    port = free_port()
    target = {"targets": [f"{HOST}:{product.metrics_port}"], "labels": {"namespace": NAMESPACE, "pod": "a"}}
    with tempfile.TemporaryDirectory() as folder, urllib3.PoolManager(timeout=10, retries=False) as http:
        rules, configuration = Path(folder, "rules.yaml"), Path(folder, "prometheus.yaml")
        rules.write_text(replace_release_names(RULES.read_text()))
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
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 -- from the PATH
        prometheus = Prometheus(f"http://{HOST}:{port}", http)
        try:
            await_until("prometheus has scraped", lambda: _has_scraped(prometheus))
            yield prometheus
        finally:
            process.terminate()
            process.wait(20)


def _has_scraped(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query_api("query", {"query": "up == 1"})["result"])
    except (urllib3.exceptions.HTTPError, json.JSONDecodeError):
        return False
