"""The README's snippets upload and download a file, as a newcomer pastes them."""

import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.product import COMMAND, COVERAGE, Product, running_product

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
SNIPPETS: Final = {
    "sh": (["bash", "-euo", "pipefail"], (ROOT / "README.md").read_bytes()),
    "python": ([sys.executable], (ROOT / "README.md").read_bytes()),
    "js": (["node", "--input-type=module"], b"hello"),
}
"""How to run a snippet from its standard input, and the file that it uploads."""
PROGRAMS: Final = {"sh": ["bash", "curl", "jq"], "python": [], "js": ["node"]}


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A service, and a run that watches for marks as the chart's does."""
    settings = {"ASSETUPLOADER_WATCH_SECONDS": "300", "ASSETUPLOADER_POLL_INTERVAL_SECONDS": "1"}
    with running_product(**settings) as product:
        environment = {**COVERAGE, **product.environment}
        run = subprocess.Popen([COMMAND, "reconcile"], env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 -- ours
        yield product
        run.terminate()
        assert run.wait(20) == 0


@pytest.mark.parametrize("language", SNIPPETS)
def test_a_snippet_uploads_a_file_and_prints_its_download_url(product: Product, language: str) -> None:
    """The last line of its output is a URL that returns the bytes that it sent."""
    missing = [program for program in PROGRAMS[language] if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    command, body = SNIPPETS[language]
    [snippet] = re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    done = subprocess.run(  # noqa: S603 -- the README's own
        command,
        input=snippet.replace("http://127.0.0.1:8080", product.url),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with urllib.request.urlopen(done.stdout.splitlines()[-1]) as response:  # noqa: S310 -- a download URL on loopback
        assert response.read() == body
