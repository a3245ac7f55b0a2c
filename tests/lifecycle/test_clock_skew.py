"""The service on a node whose clock is wrong: it signs every URL with S3's time."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.seaweedfs import LocalS3
from tests.support.product import Product, serving

URL_TTL_SECONDS = 60


@pytest.fixture(params=[-90, 90])
def skewed(request: pytest.FixtureRequest, s3: LocalS3, tmp_path: Path) -> Iterator[tuple[Product, int]]:
    """A service whose `time.time` is off by this many seconds; its URLs expire in less than that."""
    skew_seconds: int = request.param
    patch = f"import time\ntrue_time = time.time\ntime.time = lambda: true_time() + {skew_seconds}\n"
    (tmp_path / "sitecustomize.py").write_text(patch)
    ttl = str(URL_TTL_SECONDS)
    settings = {"ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": ttl, "ASSETUPLOADER_DOWNLOAD_URL_TTL_SECONDS": ttl}
    with serving(s3, PYTHONPATH=str(tmp_path), **settings) as product:
        yield product, skew_seconds


def test_a_wrong_clock_harms_no_url(skewed: tuple[Product, int]) -> None:
    """The first upload URL and the download URL work, and the metric has the size of the error."""
    product, skew_seconds = skewed
    created = product.upload(b"bytes")
    assert product.mark(created, pinned=True) == 202
    assert product.run("reconcile").returncode == 0
    url = product.http.request("GET", f"{product.url}/asset/{created.asset_id}").json()["Download_url"]
    assert product.http.request("GET", url).data == b"bytes"
    offset = re.search(r"^assetuploader_s3_clock_offset_seconds (\S+)$", product.metrics(), re.MULTILINE)
    assert offset is not None
    assert float(offset[1]) == pytest.approx(-skew_seconds, abs=2)
