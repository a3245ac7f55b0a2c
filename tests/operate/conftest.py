"""One run of the product for all tests that only inspect its results."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dev.seaweedfs import free_port, running_s3
from tests.support.product import Created, Product, await_until, serving


@dataclass(frozen=True, slots=True)
class FinalizedAssets:
    """A product that took a few assets through their lifecycle."""

    product: Product
    pinned: Created
    unpinned: Created
    unmarked: Created
    log: list[dict[str, Any]]
    """What the service logged until both were final."""
    runs: list[dict[str, Any]]
    """What the reconciler's runs logged."""


@pytest.fixture(scope="session")
def finalized_assets() -> Iterator[FinalizedAssets]:
    """Create a pinned, an unpinned and an unmarked asset, run the reconciler, and wait until its report is read."""
    settings = {
        "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": "2",
        "ASSETUPLOADER_GRACE_SECONDS": "0",
        "ASSETUPLOADER_FINALIZE_AT_ONCE_BYTES": "0",
    }
    with running_s3(free_port(), "assets") as s3:
        with serving(s3, **settings) as product:
            pinned, unpinned, unmarked = (product.upload(body) for body in (b"pinned", b"unpinned", b"unmarked"))
            assert [product.mark(pinned, pinned=True), product.mark(unpinned, pinned=False)] == [202, 202]
            runs: list[str] = []

            def both_are_final() -> bool:
                run = product.run("reconcile")
                assert run.returncode == 0, run.stderr
                runs.append(run.stderr)
                return "".join(runs).count('"outcome":"finalized"') == 2

            await_until("both assets are final", both_are_final)
            log = product.log()
        with serving(s3, **settings) as product:  # a service reads the report when it starts, and then now and again
            await_until(
                "it has read the report", lambda: 'report_reads_total{outcome="success"} 1' in product.metrics()
            )
            assert product.http.request("GET", f"{product.url}/nothing").status == 404
            product.http.request("POST", f"{product.url}/asset")
            yield FinalizedAssets(
                product, pinned, unpinned, unmarked, log, [json.loads(line) for line in "".join(runs).splitlines()]
            )


@pytest.fixture(scope="session")
def promtool() -> str:
    """Prometheus' own tool, where it is installed."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return path
