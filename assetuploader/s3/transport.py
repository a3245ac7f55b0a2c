"""HTTP to S3 through aiohttp: kept-alive connections, whole responses or none."""

import os
import ssl
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from assetuploader.http_settings import CONNECT_TIMEOUT_SECONDS, HttpSettings
from assetuploader.s3.http import CertificateError, Request, Response, Timeouts, TransportError

MAX_HEADER_BYTES: Final = 64 * 1024
"""The longest header line of a response. S3's own limit for all metadata is 2 kB."""
KEEPALIVE_SECONDS: Final = 15.0
"""How long an idle connection is kept. Amazon S3 closes idle connections after about 20 s."""
_AUTO_HEADERS: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that aiohttp adds and that S3 does not need."""


class _CheckedRequest(aiohttp.ClientRequest):
    """A request that rejects a kept-alive connection on which the server sent something unrequested.

    aiohttp would take it for the response to this request. The error lets the S3 client retry on another connection.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if conn.protocol is not None and conn.protocol.should_close:
            raise aiohttp.ServerDisconnectedError
        return await super().send(conn)


class AiohttpTransport:
    """A transport of requests to one endpoint, in one event loop."""

    def __init__(self, endpoint_url: str, settings: HttpSettings, max_connections: int) -> None:
        """Prepare to connect; nothing is sent yet.

        Raises:
            StoreMisconfiguredError: The CA bundle cannot be read.
        """
        self._settings = settings
        self._ssl_context = settings.create_ssl_context() if endpoint_url.startswith("https:") else False
        self._proxy = settings.proxy_for(endpoint_url)
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._timeouts: dict[Timeouts, aiohttp.ClientTimeout] = {}

    async def send(self, request: Request) -> Response:
        """Send one request once and return its complete response.

        Raises:
            TransportError: No complete response arrived.
            CertificateError: The endpoint's certificate is not trusted.
        """
        if self._is_closed:
            raise TransportError("the connections to S3 are closed", is_retryable=False)
        session = self._session or self._open_session()
        try:
            async with session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body or None,
                timeout=self._client_timeout(request.timeouts),
                allow_redirects=False,
            ) as response:
                body = await _read_body(response, request)
                headers = {name.lower(): value for name, value in response.raw_headers}
                return Response(response.status, headers, body)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = self._settings.describe_untrusted(error.host, str(error.certificate_error))
            raise CertificateError(reason) from error
        except aiohttp.ClientHttpProxyError as error:
            raise TransportError(f"the proxy responds {error.status}") from error
        except aiohttp.ClientConnectorError as error:
            raise TransportError(f"cannot connect: {_describe(error.os_error)}") from error
        except TimeoutError as error:
            raise TransportError("no response in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of these errors is left out: it may contain a URL.
            raise TransportError(f"no complete response ({type(error).__name__})") from error

    async def aclose(self) -> None:
        """Close the connections. Requests that are under way fail."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=self._ssl_context,
            limit=self._max_connections,
            keepalive_timeout=KEEPALIVE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            proxy=self._proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            request_class=_CheckedRequest,
            skip_auto_headers=_AUTO_HEADERS,
            auto_decompress=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        # aiohttp would repeat a lost request once, unseen by the retry quota and by metrics.
        self._session._retry_connection = False  # noqa: SLF001
        return self._session

    def _client_timeout(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        found = self._timeouts.get(timeouts)
        if found is None:
            found = self._timeouts[timeouts] = aiohttp.ClientTimeout(
                total=timeouts.total_seconds,
                sock_connect=CONNECT_TIMEOUT_SECONDS,
                sock_read=timeouts.read_seconds,
            )
        return found


async def _read_body(response: aiohttp.ClientResponse, request: Request) -> bytes:
    has_body = request.method != "HEAD" and response.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
    if has_body and response.content_length is None and "Transfer-Encoding" not in response.headers:
        raise ValueError("without content-length or chunks, a truncated response cannot be recognized")
    body = b""
    while len(body) <= request.max_response_bytes and not response.content.at_eof():
        body += await response.content.read(request.max_response_bytes + 1)
    if len(body) > request.max_response_bytes:
        response.close()
        raise ValueError("the response is too long")
    return body


def _describe(error: OSError) -> str:
    """Return the reason without addresses, which asyncio adds to it."""
    if isinstance(error, ssl.SSLError):  # its errno is OpenSSL's, not the system's
        return error.reason or type(error).__name__
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__
