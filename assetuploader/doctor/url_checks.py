"""Checks of presigned URLs: the doctor sends what a browser or curl sends to the public endpoint."""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from assetuploader.conformance import CHECK_KEY
from assetuploader.doctor.results import CheckResult, Severity, passed, skipped
from assetuploader.errors import StoreMisconfiguredError, StoreUnavailableError
from assetuploader.keys import CHECK_UPLOAD_KEY
from assetuploader.plain_http import send
from assetuploader.store import Bucket, Presigner

URL_TTL_SECONDS: Final = 60
BODY: Final = b"doctor"
CORS_RULE: Final = (
    '{{"CORSRules": [{{"AllowedOrigins": ["{origin}"], "AllowedMethods": ["PUT", "GET", "HEAD"], '
    '"AllowedHeaders": ["*"], "ExposeHeaders": ["ETag", "x-amz-checksum-sha256"], "MaxAgeSeconds": 3600}}]}}'
)

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REACH: Final = (
    "Clients must reach S3 at this endpoint: set ASSETUPLOADER_PUBLIC_S3_ENDPOINT_URL to one that they can reach."
)


async def check_public_endpoint(bucket: Bucket) -> tuple[CheckResult, Presigner]:
    """Check that the endpoint in clients' URLs responds; return the presigner that the other checks use.

    If it does not, they use the endpoint of the programs, so that one cause has one result.
    """
    signed = await bucket.presigner.presign_get(CHECK_KEY, URL_TTL_SECONDS)
    parts = urlsplit(signed.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    try:
        await send("GET", f"{origin}/", bucket.http)
    except StoreMisconfiguredError as error:
        return CheckResult("public endpoint", Severity.MISCONFIGURED, str(error), _REACH), bucket.internal_presigner
    except StoreUnavailableError as error:
        message = f"{origin} cannot be reached from here ({error}): URLs are checked at the programs' endpoint"
        if parts.hostname in _LOOPBACK:
            remediation = "In a pod of a trial this is expected. Run the doctor where the clients are, too."
            return CheckResult("public endpoint", Severity.WARNING, message, remediation), bucket.internal_presigner
        return CheckResult("public endpoint", Severity.UNAVAILABLE, message, _REACH), bucket.internal_presigner
    return passed("public endpoint", f"{origin} can be reached"), bucket.presigner


async def check_upload_url(bucket: Bucket, presigner: Presigner) -> CheckResult:
    """Upload to an upload URL, as a client does. The key is the doctor's own."""
    signed = await presigner.presign_put(CHECK_UPLOAD_KEY, URL_TTL_SECONDS)
    try:
        response = await send("PUT", signed.url, bucket.http, body=BODY)
    except StoreUnavailableError as error:
        return CheckResult("upload URL", Severity.UNAVAILABLE, str(error), _REACH)
    if response.status == HTTPStatus.FORBIDDEN:
        remediation = (
            "Allow the service s3:PutObject on temp/*, and check that the endpoint is the one that URLs are signed for."
        )
        return CheckResult("upload URL", Severity.ACCESS_DENIED, "S3 responds 403 to a client's upload", remediation)
    if response.status != HTTPStatus.OK or "etag" not in response.headers:
        return CheckResult("upload URL", Severity.FAILED, f"S3 responds {response.status} to a client's upload", _REACH)
    return passed("upload URL", "a client can upload")


async def check_download_url(bucket: Bucket, presigner: Presigner) -> CheckResult:
    """Download from a download URL, as a client does."""
    signed = await presigner.presign_get(CHECK_KEY, URL_TTL_SECONDS)
    try:
        response = await send("GET", signed.url, bucket.http)
    except StoreUnavailableError as error:
        return CheckResult("download URL", Severity.UNAVAILABLE, str(error), _REACH)
    if response.status == HTTPStatus.FORBIDDEN:
        remediation = "Allow the service s3:GetObject on uploaded/*."
        message = "S3 responds 403 to a client's download"
        return CheckResult("download URL", Severity.ACCESS_DENIED, message, remediation)
    if response.status != HTTPStatus.OK:
        message = f"S3 responds {response.status} to a client's download"
        return CheckResult("download URL", Severity.FAILED, message, _REACH)
    if not response.headers.get("content-disposition", "").startswith("attachment"):
        remediation = "Use a store that honours response-content-disposition, or serve it from a host without cookies."
        message = "a browser shows what a client uploaded, instead of saving it"
        return CheckResult("download URL", Severity.WARNING, message, remediation)
    return passed("download URL", "a client can download")


async def check_anonymous(bucket: Bucket, presigner: Presigner) -> CheckResult:
    """Request an object without a signature: nobody may read it."""
    signed = await presigner.presign_get(CHECK_KEY, URL_TTL_SECONDS)
    try:
        response = await send("GET", signed.url.partition("?")[0], bucket.http)
    except StoreUnavailableError as error:
        return CheckResult("anonymous access", Severity.UNAVAILABLE, str(error), _REACH)
    if response.status == HTTPStatus.OK:
        remediation = "Turn on the public access block, and take public grants out of policy and ACLs."
        return CheckResult(
            "anonymous access", Severity.FAILED, "anybody can read assets without a signature", remediation
        )
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return passed("anonymous access", f"rejected with {response.status}")
    message = f"S3 responds {response.status}, so it is not known whether anybody can read assets"
    return CheckResult("anonymous access", Severity.FAILED, message, _REACH)


async def check_tls(bucket: Bucket) -> CheckResult:
    """Check the scheme of the URLs that clients get; the upload check has tried the certificate."""
    parts = urlsplit((await bucket.presigner.presign_put(CHECK_UPLOAD_KEY, URL_TTL_SECONDS)).url)
    if parts.scheme == "https":
        return passed("TLS", "clients get https URLs")
    if parts.hostname in _LOOPBACK:
        return passed("TLS", "not needed on loopback")
    remediation = "Give the public endpoint a certificate, and an https URL."
    return CheckResult(
        "TLS", Severity.WARNING, f"URLs are bearer tokens and reach {parts.hostname} unencrypted", remediation
    )


async def check_cors(bucket: Bucket, presigner: Presigner, origin: str | None) -> CheckResult:
    """Send the preflight and the upload of a browser."""
    if origin is None:
        return skipped("CORS", "not checked: add --origin https://app.example.com if browsers upload")
    remediation = f"Give the bucket this CORS configuration: {CORS_RULE.format(origin=origin)}"
    signed = await presigner.presign_put(CHECK_UPLOAD_KEY, URL_TTL_SECONDS)
    preflight_headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,if-none-match,x-amz-checksum-sha256",
    }
    upload_headers = {"Origin": origin, "Content-Type": "text/plain"}
    try:
        preflight = await send("OPTIONS", signed.url, bucket.http, headers=preflight_headers)
        upload = await send("PUT", signed.url, bucket.http, body=BODY, headers=upload_headers)
    except StoreUnavailableError as error:
        return CheckResult("CORS", Severity.UNAVAILABLE, str(error), _REACH)
    allowed_origin = preflight.headers.get("access-control-allow-origin")
    if preflight.status >= HTTPStatus.MULTIPLE_CHOICES or allowed_origin not in {"*", origin}:
        return CheckResult("CORS", Severity.FAILED, f"a browser at {origin} may not upload", remediation)
    exposed = upload.headers.get("access-control-expose-headers", "").lower()
    if "etag" not in exposed and exposed != "*":
        return CheckResult(
            "CORS", Severity.WARNING, f"a browser at {origin} cannot read the ETag, so it cannot pin", remediation
        )
    return passed("CORS", f"a browser at {origin} may upload and pin")
