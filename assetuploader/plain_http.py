"""Plain HTTP requests, as a client of the service sends them: for the conformance check, doctor and selftest."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from assetuploader.errors import StoreMisconfiguredError, StoreUnavailableError
from assetuploader.http_settings import CONNECT_TIMEOUT_SECONDS, HttpSettings

TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response, as it arrived."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)


async def send(  # noqa: PLR0913 -- the parts of a request, most of them keyword-only
    method: str,
    url: str,
    settings: HttpSettings,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    connect_to: tuple[str, int] | None = None,
) -> RawResponse:
    """Send one request. Redirects are not followed. `connect_to` replaces the address, but not the name, of the host.

    Raises:
        StoreUnavailableError: There was no response. The message names the kind of failure, and no URL.
        StoreMisconfiguredError: The CA bundle cannot be read, or the certificate is not trusted.
    """
    connector = aiohttp.TCPConnector(
        ssl=settings.create_ssl_context() if url.startswith("https:") else False,
        resolver=_FixedResolver(*connect_to) if connect_to else None,
    )
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS, sock_connect=CONNECT_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Content-Type",),
            ) as session,
            session.request(
                method,
                URL(url, encoded=True),
                data=body or None,
                headers=headers,
                proxy=None if connect_to else settings.proxy_for(url),
                allow_redirects=False,
            ) as response,
        ):
            lower = {name.lower(): value for name, value in response.headers.items()}
            return RawResponse(response.status, lower, await response.read())
    except aiohttp.ClientConnectorCertificateError as error:
        reason = settings.describe_untrusted(error.host, str(error.certificate_error))
        raise StoreMisconfiguredError(reason) from None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise StoreUnavailableError(f"no response ({type(error).__name__})") from None


class _FixedResolver(AbstractResolver):
    """Resolves every name to one address and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        del port
        found = await aiohttp.ThreadedResolver().resolve(self._host, self._port, family)
        return [{**result, "hostname": host} for result in found]

    async def close(self) -> None:
        pass
