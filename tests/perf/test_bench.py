"""The benchmarks run, and their page has a row for every program. The figures of a quick run mean nothing."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from bench.parts_client import PartsUpload
from bench.service import ASSET_SERVICE, ASSETUPLOADER, BOTO3, MINIMAL, S3_CLIENT, SANIC
from tests.support.product import running_product

REPOSITORY: Final = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(240)


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module, and return what it printed."""
    done = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-m", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_benchmarks_run_and_write_their_page(tmp_path: Path) -> None:
    """Every program has its rows, over HTTP and over HTTPS."""
    run_bench("bench", "--quick", "--out", str(tmp_path))

    page = (tmp_path / "bench.md").read_text()
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    for program in (SANIC, MINIMAL, S3_CLIENT, ASSET_SERVICE, ASSETUPLOADER, BOTO3):
        assert f"| {program} | HTTP |" in page
    for program in (MINIMAL, ASSETUPLOADER):
        assert f"| {program} | HTTPS |" in page
    for program in ("reconcile, 1 shard", "reconcile, 4 shards", "minimal", "s5cmd mv"):
        assert f"| {program} | HTTP |" in page
    assert "finalized and read once takes 6." in page
    for section in ("# Benchmarks", "## The service", "## The reconciler", "## What S3 charges"):
        assert f"{section}\n" in page
    for package in ("uvloop", "aiohttp"):
        assert f"{package} {version(package)}" in page


def test_two_revisions_are_compared_over_http_and_https() -> None:
    """The table has each request over both schemes. Both revisions are this one."""
    programs = str(Path(sys.executable).parent)

    table = run_bench("bench.compare", programs, programs, "--quick").stdout

    for scheme in ("HTTP", "HTTPS"):
        for request in ("GET final", "POST", "PUT", "finalized asset"):
            assert f"| {request} | {scheme} | CPU µs |" in table


def test_a_file_is_uploaded_in_parts_and_an_upload_is_resumed(tmp_path: Path) -> None:
    """The client of the throughput benchmark sends every part once, and after an interruption only what is missing."""
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * (40 * 4096))  # 40 MiB: three parts
    with running_product() as product:
        begun = PartsUpload.create(product.url, file)
        begun.send([2])
        resumed = PartsUpload.resume(product.url, file, begun.asset_id, begun.upload_id)
        assert resumed.missing == [1, 3]
        arguments = (product.url, str(file), "--resume", begun.asset_id, begun.upload_id)
        printed = run_bench("bench.parts_client", *arguments).stdout
        assert "uploaded: 2 parts of 16 MiB in" in printed
        content = product.http.request("GET", f"{product.url}/v1/assets/{begun.asset_id}/content")
        assert product.http.request("GET", content.headers["Location"]).data == file.read_bytes()
