"""What a client of ours would meet: the doctor sends what a browser or curl sends, to the public endpoint."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import urllib3

from assetstore.doctor.findings import Finding, Level, good, skipped
from assetstore.door import Bucket
from assetstore.errors import StoreUnavailableError
from assetstore.probe import PROBE_KEY, PROBE_TARGET_KEY

URL_SECONDS: Final = 60
BODY: Final = b"doctor"
CORS_RULE: Final = (
    '{{"CORSRules": [{{"AllowedOrigins": ["{origin}"], "AllowedMethods": ["PUT", "GET"], '
    '"AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 3600}}]}}'
)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REACH: Final = "Clients must reach this endpoint: set ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL to one that they do reach."


@dataclass(frozen=True, slots=True)
class Answer:
    """What S3 answered to a plain HTTP client."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


async def send(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request as any HTTP client would.

    Raises:
        StoreUnavailableError: there was no answer; the message has the kind of it, and no URL.
    """
    return await asyncio.to_thread(_send, method, url, body, headers or {})


def _send(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    with urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=10), retries=False) as http:
        try:
            answer = http.request(method, url, body=body or None, headers=dict(headers))
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailableError(f"no answer ({type(error).__name__})") from None
    return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)


async def check_upload_url(bucket: Bucket) -> Finding:
    """Send bytes to an upload URL, as a client does; they stay at the probe's own key in `temp/`."""
    signed = await bucket.signer.sign_upload(PROBE_TARGET_KEY, URL_SECONDS)
    try:
        answer = await send("PUT", signed.url, BODY)
    except StoreUnavailableError as error:
        return Finding("upload URL", Level.UNAVAILABLE, str(error), _REACH)
    if answer.status == 403:  # noqa: PLR2004
        to_do = "Allow the service s3:PutObject on temp/*, and check that the endpoint is the one that was signed for."
        return Finding("upload URL", Level.DENIED, "S3 answers 403 to a client's upload", to_do)
    if answer.status != 200 or "etag" not in answer.headers:  # noqa: PLR2004
        return Finding("upload URL", Level.BROKEN, f"S3 answers {answer.status} to a client's upload", _REACH)
    return good("upload URL", "a client's upload arrives")


async def check_download_url(bucket: Bucket) -> Finding:
    """Follow a download URL, as a client does."""
    signed = await bucket.signer.sign_download(PROBE_KEY, URL_SECONDS)
    try:
        answer = await send("GET", signed.url)
    except StoreUnavailableError as error:
        return Finding("download URL", Level.UNAVAILABLE, str(error), _REACH)
    if answer.status != 200:  # noqa: PLR2004
        to_do = "Allow the service s3:GetObject on uploaded/*."
        return Finding("download URL", Level.DENIED, f"S3 answers {answer.status} to a client's download", to_do)
    if not answer.headers.get("content-disposition", "").startswith("attachment"):
        to_do = "Use a store that honours response-content-disposition, or serve it from a host without cookies."
        says = "a browser would show what a client uploaded instead of saving it"
        return Finding("download URL", Level.WARNING, says, to_do)
    return good("download URL", "a client's download arrives")


async def check_anonymous(bucket: Bucket) -> Finding:
    """Ask for an object without a signature: nobody may have it."""
    signed = await bucket.signer.sign_download(PROBE_KEY, URL_SECONDS)
    try:
        answer = await send("GET", signed.url.partition("?")[0])
    except StoreUnavailableError as error:
        return Finding("anonymous access", Level.UNAVAILABLE, str(error), _REACH)
    if answer.status == 200:  # noqa: PLR2004
        to_do = "Turn on the public access block, and take public grants out of policy and ACLs."
        return Finding("anonymous access", Level.BROKEN, "anybody can read assets without a signature", to_do)
    return good("anonymous access", f"refused with {answer.status}")


async def check_tls(bucket: Bucket) -> Finding:
    """Look at the scheme of the URLs that clients are given; the upload has tried the certificate."""
    parts = urlsplit((await bucket.signer.sign_upload(PROBE_TARGET_KEY, URL_SECONDS)).url)
    if parts.scheme == "https":
        return good("TLS", "clients are given https URLs")
    if parts.hostname in _LOOPBACK:
        return good("TLS", "none, on loopback")
    to_do = "Give the public endpoint a certificate, and an https URL."
    return Finding("TLS", Level.WARNING, f"URLs are bearer tokens, and travel to {parts.hostname} unencrypted", to_do)


async def check_cors(bucket: Bucket, origin: str | None) -> Finding:
    """Ask as a browser does before an upload, and upload as it does."""
    if origin is None:
        return skipped(
            "CORS", "no browser uploads, as far as told; with --origin https://app.example.com they are tried"
        )
    to_do = f"Give the bucket this CORS configuration: {CORS_RULE.format(origin=origin)}"
    signed = await bucket.signer.sign_upload(PROBE_TARGET_KEY, URL_SECONDS)
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        may = await send("OPTIONS", signed.url, headers=asks)
        did = await send("PUT", signed.url, BODY, {"Origin": origin, "Content-Type": "text/plain"})
    except StoreUnavailableError as error:
        return Finding("CORS", Level.UNAVAILABLE, str(error), _REACH)
    if may.status >= 300 or may.headers.get("access-control-allow-origin") not in {"*", origin}:  # noqa: PLR2004
        return Finding("CORS", Level.BROKEN, f"a browser at {origin} may not upload", to_do)
    exposed = did.headers.get("access-control-expose-headers", "").lower()
    if "etag" not in exposed and exposed != "*":
        return Finding("CORS", Level.WARNING, f"a browser at {origin} cannot read the ETag, so it cannot pin", to_do)
    return good("CORS", f"a browser at {origin} may upload and pin")
