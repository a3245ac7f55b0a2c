"""docs/uploading.md: its snippets upload files, in a shell, in Node.js and in a browser."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from assetuploader.doctor.url_checks import CORS_RULE
from service.problems import problems_by_code
from tests.support.browser import CHROMIUM, open_page
from tests.support.product import Product, running_product
from tests.support.stores import raw_client

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "uploading.md").read_text()
CORS: Final = json.loads((ROOT / "docs" / "iam" / "cors.json").read_text())
LONG: Final = bytes(range(256)) * 80_000
"""A file of 20 MB, which has two parts."""
FILE: Final = 'new File(["hello"], "grüße.txt", { type: "text/plain" })'
DISPOSITION: Final = "attachment; filename=\"gru_e.txt\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.txt"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A service without a reconciler: what is pinned and short is final at once."""
    with running_product() as product:
        yield product


def snippets(language: str) -> list[str]:
    """Return the page's code blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def javascript(product: Product) -> tuple[str, str, str]:
    """Return the functions that upload, those with a progress bar, and those that repeat."""
    basic, progress, repeated = snippets("js")
    return basic.replace("http://127.0.0.1:8080", product.url), progress, repeated


def without_usage(basic: str) -> str:
    """Return the functions of the first snippet, without the lines that call them."""
    functions, usage = basic.split("\nconst asset = ")
    assert usage.startswith("await uploadFile(new File(")
    return functions


def node(script: str) -> list[str]:
    """Run a script in Node.js, and return the lines that it prints."""
    if shutil.which("node") is None:
        pytest.skip("not installed: node")
    return run(["node", "--input-type=module"], script, ROOT)


def run(command: list[str], script: str, folder: Path) -> list[str]:
    """Run a script from standard input, and return the lines that it prints."""
    done = subprocess.run(  # noqa: S603 -- our own page
        command, input=script, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def download(product: Product, url: str) -> tuple[bytes, Mapping[str, str]]:
    """Return the bytes and the headers of a download."""
    response = product.http.request("GET", url)
    assert response.status == 200
    return response.data, response.headers


def test_the_commands_upload_and_download_a_declared_file(product: Product, tmp_path: Path) -> None:
    """Pasted into bash, they create a final asset, and download the same bytes."""
    missing = [program for program in ("bash", "curl", "jq") if not shutil.which(program)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    shutil.copy(ROOT / "README.md", tmp_path)
    [snippet] = snippets("sh")
    script = snippet.replace("http://127.0.0.1:8080", product.url)
    assert run(["bash", "-euo", "pipefail"], script, tmp_path) == ['"uploaded"']
    assert (tmp_path / "downloaded").read_bytes() == (ROOT / "README.md").read_bytes()


def upload_in_parts(product: Product, folder: Path, *arguments: str) -> list[str]:
    """Run the page's program, and return the lines that it prints."""
    [snippet] = snippets("python")
    script = snippet.replace("http://127.0.0.1:8080", product.url)
    return run([sys.executable, "-", *arguments], script, folder)


def test_the_program_uploads_a_file_in_parts(product: Product, tmp_path: Path) -> None:
    """The asset is final, has the file's name, and consists of more than one part."""
    (tmp_path / "film.bin").write_bytes(LONG)
    [url] = upload_in_parts(product, tmp_path, "film.bin")
    body, headers = download(product, url)
    assert body == LONG
    assert headers["ETag"].endswith('-2"')
    assert 'filename="film.bin"' in headers["Content-Disposition"]


def test_the_program_resumes_an_upload(product: Product, tmp_path: Path) -> None:
    """A part that S3 has is not sent again."""
    (tmp_path / "film.bin").write_bytes(LONG)
    declared = {"size": len(LONG), "multipart": True}
    created = product.http.request("POST", f"{product.url}/v1/assets", json=declared).json()
    asset_id, upload_id = created["id"], created["upload"]["upload_id"]
    path = f"{product.url}/v1/assets/{asset_id}/parts"
    [part] = product.http.request("POST", path, json={"upload_id": upload_id, "part_numbers": [2]}).json()["parts"]
    assert product.http.request("PUT", part["url"], body=LONG[created["upload"]["part_size"] :]).status == 200
    [url] = upload_in_parts(product, tmp_path, "film.bin", asset_id, upload_id)
    assert download(product, url)[0] == LONG
    requests = [line for line in product.log() if line.get("asset_id") == asset_id]
    assert [line["method"] for line in requests if line.get("route") == "/v1/assets/{id}/parts"] == [
        "POST",
        "GET",
        "POST",
    ]


def test_the_javascript_uploads_a_declared_file(product: Product) -> None:
    """It prints a download URL of the same bytes, with the declared type and name."""
    body, headers = download(product, node(javascript(product)[0])[-1])
    assert (body, headers["Content-Type"], headers["Content-Disposition"]) == (b"hello", "text/plain", DISPOSITION)


def test_the_javascript_repeats_an_upload_with_another_url(product: Product) -> None:
    """A URL that S3 refuses, as an expired one, is replaced; the bytes then arrive."""
    basic, _, repeated = javascript(product)
    call = f"""
    const statuses = [];
    const realFetch = fetch;
    globalThis.fetch = async (url, options) => {{
      const response = await realFetch(url, options);
      if (options.method === "PUT") statuses.push(response.status);
      return response;
    }};
    const spoil = (url) => url.replace(/Signature=./, "Signature=x");
    const put = (upload, file, id) => putRepeatedly({{ ...upload, url: spoil(upload.url) }}, file, id);
    const asset = await uploadFile({FILE}, put);
    console.log(statuses.join(), asset.download_url);
    """
    statuses, url = node(without_usage(basic) + repeated + call)[-1].split()
    assert (statuses, download(product, url)[0]) == ("403,200", b"hello")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")
@pytest.mark.parametrize("put", ["putBytes", "putWithProgress"])
async def test_a_browser_uploads_a_declared_file_under_the_cors_rule(product: Product, put: str) -> None:
    """The bucket's rule lets a page of the API's origin send the declared headers and read the ETag."""
    [rule] = CORS["CORSRules"]
    configuration: Any = {"CORSRules": [{**rule, "AllowedOrigins": [product.url]}]}
    raw_client(product.s3.endpoint_url).put_bucket_cors(Bucket="assets", CORSConfiguration=configuration)
    basic, progress, _ = javascript(product)
    script = f"""{without_usage(basic)}{progress}
    window.shown = [];
    const put = (upload, file, id) => {put}(upload, file, id, (share) => shown.push(share));
    uploadFile({FILE}, put).then((asset) => window.asset = asset, (error) => window.asset = {{ error: String(error) }});
    """
    async with open_page() as page:
        await page.open(f"{product.url}/livez")
        await page.until("document.readyState === 'complete' && location.pathname === '/livez'")
        await page.until(f"(0, eval)({json.dumps(script)}), true")
        asset = await page.until("window.asset")
        shown = await page.until("({ shown: window.shown })")
    assert asset.get("error") is None
    assert (asset["status"], asset["size"]) == ("uploaded", 5)
    assert download(product, asset["download_url"])[0] == b"hello"
    assert shown["shown"][-1:] == ([1] if put == "putWithProgress" else [])


def test_the_cors_rule_is_the_same_everywhere() -> None:
    """The page and the doctor name the rule that docs/iam/cors.json has."""
    [shown] = snippets("json")
    assert json.loads(shown) == CORS
    assert json.loads(CORS_RULE.format(origin="https://app.example.com")) == CORS


def test_every_code_on_the_page_exists() -> None:
    """The table of errors names codes that the API sends."""
    table = PAGE.split("These are for your code:")[1].split("Errors of the `PUT`")[0]
    named = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))))
    assert len(named) == 16
    assert named <= problems_by_code().keys()
