"""Signatures are those of Amazon's published examples, and botocore's for everything else."""

import string
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assetuploader.s3.clock import parse_http_date
from assetuploader.s3.sigv4 import (
    EMPTY_SHA256,
    Credentials,
    Scope,
    SigningTarget,
    SigV4Signer,
    encode_path,
)

EXAMPLE_HOST = "examplebucket.s3.amazonaws.com"
EXAMPLE_AT = int(parse_http_date("Fri, 24 May 2013 00:00:00 GMT").timestamp())
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 -- Amazon's published example
EXAMPLE = SigV4Signer(Credentials("AKIAIOSFODNN7EXAMPLE", EXAMPLE_SECRET), Scope("us-east-1"), EXAMPLE_AT)


@pytest.mark.parametrize(
    ("target", "headers", "payload_sha256", "signature"),
    [
        pytest.param(
            SigningTarget("GET", EXAMPLE_HOST, "/test.txt"),
            [("range", "bytes=0-9")],
            EMPTY_SHA256,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            id="get object",
        ),
        pytest.param(
            SigningTarget("PUT", EXAMPLE_HOST, encode_path("/test$file.text")),
            [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            id="put object",
        ),
        pytest.param(
            SigningTarget("GET", EXAMPLE_HOST, "/", [("lifecycle", "")]),
            [],
            EMPTY_SHA256,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            id="get bucket lifecycle",
        ),
        pytest.param(
            SigningTarget("GET", EXAMPLE_HOST, "/", [("max-keys", "2"), ("prefix", "J")]),
            [],
            EMPTY_SHA256,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            id="list objects",
        ),
    ],
)
def test_headers_are_signed_as_in_amazons_examples(
    target: SigningTarget, headers: Sequence[tuple[str, str]], payload_sha256: str, signature: str
) -> None:
    """The four examples of "Authenticating Requests: Using the Authorization Header" have the published signatures."""
    name, value = EXAMPLE.sign_headers(target, headers, payload_sha256)[-1]
    assert name == "authorization"
    assert value.startswith("AWS4-HMAC-SHA256 ")
    assert value.endswith(f", Signature={signature}")


def test_a_query_is_signed_as_in_amazons_example() -> None:
    """The example of "Authenticating Requests: Using Query Parameters" has the published query."""
    assert EXAMPLE.presign_query(SigningTarget("GET", EXAMPLE_HOST, "/test.txt"), 86400) == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)
NAME = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=20)
HEADERS = st.dictionaries(
    st.one_of(
        NAME.map("x-amz-meta-".__add__),
        st.sampled_from(["content-type", "if-match", "if-none-match", "x-amz-tagging", "x-amz-copy-source", "expires"]),
    ),
    LINE,
    max_size=6,
)
QUERIES = st.dictionaries(TEXT.filter(bool), TEXT.filter(bool), max_size=5)
CREDENTIALS = st.builds(
    Credentials,
    st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=20),
    st.text(string.ascii_letters + string.digits + "+/", min_size=1, max_size=64),
    st.none() | st.text(string.ascii_letters + string.digits + "+/=", min_size=1, max_size=200),
)
SCOPES = st.builds(Scope, st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]))
HOSTS = st.sampled_from(["b.s3.eu-central-1.amazonaws.com", "127.0.0.1:8333", "s3.example:9000"])
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST"])


def to_botocore(credentials: Credentials) -> BotocoreCredentials:
    """Return the same credentials for botocore."""
    return BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)


@settings(max_examples=1000, deadline=None)
@given(METHODS, HOSTS, TEXT, QUERIES, HEADERS, st.binary(max_size=50), CREDENTIALS, SCOPES)
def test_headers_are_signed_as_by_botocore(  # noqa: PLR0913, PLR0917 -- all parts of a request
    method: str,
    host: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    credentials: Credentials,
    scope: Scope,
) -> None:
    """For any request, botocore's authorization and ours are equal byte for byte, and so is every signed header."""
    path = "/" + encode_path(key)
    request: Any = AWSRequest(method, f"http://{host}{path}", dict(headers), body, query)
    S3SigV4Auth(to_botocore(credentials), scope.service, scope.region).add_auth(request)
    theirs = {name.lower(): value for name, value in request.headers.items()}
    signer = SigV4Signer(credentials, scope, parse_amz_date(theirs["x-amz-date"]))
    target = SigningTarget(method, host, path, list(query.items()))
    ours = signer.sign_headers(target, [*headers.items()], theirs["x-amz-content-sha256"])
    assert dict(ours) == {"host": host, **theirs}


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(["GET", "PUT"]), HOSTS, TEXT, QUERIES, HEADERS, st.integers(1, 604800), CREDENTIALS, SCOPES)
def test_a_url_is_signed_as_by_botocore(  # noqa: PLR0913, PLR0917 -- all parts of a URL
    method: str,
    host: str,
    key: str,
    query: dict[str, str],
    headers: dict[str, str],
    seconds: int,
    credentials: Credentials,
    scope: Scope,
) -> None:
    """For any request, botocore's presigned URL and ours are equal byte for byte."""
    assume(not any(name.lower().startswith("x-amz-") for name in query))  # those are the signature's own
    path = "/" + encode_path(key)
    plain = f"https://{host}{path}"
    url = f"{plain}?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else plain
    request: Any = AWSRequest(method, url, headers)
    S3SigV4QueryAuth(to_botocore(credentials), scope.service, scope.region, expires=seconds).add_auth(request)
    at = request.url.rpartition("X-Amz-Date=")[2][:16]
    signer = SigV4Signer(credentials, scope, parse_amz_date(at))
    ours = signer.presign_query(SigningTarget(method, host, path, list(query.items())), seconds, [*headers.items()])
    assert f"{plain}?{ours}" == request.url


@given(CREDENTIALS)
def test_credentials_do_not_show_their_secret(credentials: Credentials) -> None:
    """Their text in logs and tracebacks contains neither the secret nor the token."""
    with_secrets = Credentials(credentials.access_key_id, "the secret", "the token")
    assert repr(with_secrets) == f"Credentials(access_key_id={credentials.access_key_id!r})"


def parse_amz_date(amz_date: str) -> int:
    """Return the Unix seconds of an `X-Amz-Date`."""
    return int(datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
