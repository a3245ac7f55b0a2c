"""Proxies and their exceptions are read from the environment as curl and boto3 read them."""

import asyncio

import pytest

from assetuploader.http_settings import HttpSettings
from assetuploader.s3.http import TransportError
from assetuploader.s3.transport import AiohttpTransport
from tests.support.s3_harness import build_request, http_response

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "https://s3.example", None),
        ({"HTTPS_PROXY": PROXY}, "https://s3.example", PROXY),
        ({"https_proxy": PROXY}, "https://s3.example", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://s3.example", None),
        ({"HTTP_PROXY": PROXY}, "http://s3.example:9000", PROXY),
        ({"ALL_PROXY": PROXY}, "https://s3.example", PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128"}, "https://s3.example", PROXY),
        ({"HTTP_PROXY": PROXY, "REQUEST_METHOD": "GET"}, "http://s3.example", None),
        ({"HTTPS_PROXY": ""}, "https://s3.example", None),
    ],
)
def test_the_proxy_is_the_one_of_the_scheme(environment: dict[str, str], url: str, proxy: str | None) -> None:
    """HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are read in either case; an empty variable counts as unset."""
    assert HttpSettings.from_environment(environment).proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_direct"),
    [
        ("s3.example", "https://s3.example", True),
        ("S3.EXAMPLE", "https://s3.example", True),
        ("other, s3.example", "https://s3.example", True),
        ("example", "https://s3.example", True),
        (".example", "https://s3.example", True),
        ("*.example", "https://s3.example", True),
        ("xample", "https://s3.example", False),
        ("s3.example:443", "https://s3.example", True),
        ("s3.example:9000", "https://s3.example", False),
        ("*", "https://s3.example", True),
        ("127.0.0.1", "https://127.0.0.1:8333", True),
        ("127.0.0.0/8", "https://127.0.0.1:8333", True),
        ("10.0.0.0/8", "https://127.0.0.1:8333", False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("127.0.0.1:8333", "https://127.0.0.1:8333", True),
        ("::1", "https://[::1]:8333", True),
        ("[::1]:8333", "https://[::1]:8333", True),
        ("fd00::/8", "https://[fd12::1]", True),
        ("fd00::/8", "https://[::1]", False),
        ("", "https://s3.example", False),
        (",", "https://s3.example", False),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(no_proxy: str, url: str, *, is_direct: bool) -> None:
    """A name covers its subdomains, a network its addresses; an entry with a port covers only that port."""
    settings = HttpSettings.from_environment({"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert (settings.proxy_for(url) is None) is is_direct


@pytest.mark.parametrize(
    ("scheme", "first_line"), [("http", "GET http://s3.example/ "), ("https", "CONNECT s3.example:443 ")]
)
async def test_requests_go_through_the_proxy(scheme: str, first_line: str) -> None:
    """Plain HTTP is sent in absolute form, TLS through CONNECT, with the credentials of the proxy's URL."""
    received: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http_response("403 Forbidden" if scheme == "https" else "200 OK"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://user:secret@127.0.0.1:{port}"
        transport = AiohttpTransport(f"{scheme}://s3.example", HttpSettings(http_proxy=url, https_proxy=url), 1)
        request = build_request(f"{scheme}://s3.example")
        if scheme == "http":
            assert (await transport.send(request)).status == 200
        else:  # the fake proxy rejects CONNECT
            with pytest.raises(TransportError, match="403") as caught:
                await transport.send(request)
            assert "secret" not in str(caught.value)
        await transport.aclose()
    assert received[0].decode().startswith(first_line)
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=" in received[0]
