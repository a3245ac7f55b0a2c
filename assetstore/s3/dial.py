"""Opens connections: the name looked up each time, IPv6 and IPv4 tried side by side, TLS.

Who resolves names anew for each connection follows S3's changing addresses without knowing of them.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Final

import aiohappyeyeballs

from assetstore.s3.connection import Connection
from assetstore.s3.message import NoAnswerError, UntrustedError

CONNECT_SECONDS: Final = 2.0
_NEXT_ADDRESS_SECONDS: Final = 0.25
"""Head start of each address before the next is tried too: RFC 8305's recommendation."""


@dataclass(frozen=True, slots=True)
class Dialer:
    """Where connections go to."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_seconds: float = CONNECT_SECONDS
    """For name, connection and TLS together."""

    async def dial(self) -> Connection:
        """A new connection.

        Raises:
            NoAnswerError: none could be made.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.connect_seconds):
                found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
                sock = await aiohappyeyeballs.start_connection(
                    found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop
                )
                try:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    _, connection = await loop.create_connection(
                        lambda: Connection(loop),
                        sock=sock,
                        ssl=self.tls,
                        server_hostname=self.host if self.tls is not None else None,
                    )
                except BaseException:
                    sock.close()
                    raise
        except TimeoutError as error:
            raise NoAnswerError("no connection in time", was_sent=False) from error
        except socket.gaierror as error:
            raise NoAnswerError("the endpoint's host name is not known", was_sent=False) from error
        except ssl.SSLCertVerificationError as error:
            raise UntrustedError(
                f"the endpoint's certificate is not trusted ({error.verify_message}): set AWS_CA_BUNDLE",
                was_sent=False,
                is_final=True,
            ) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of the host name is too long
            raise NoAnswerError(f"no connection ({type(error).__name__})", was_sent=False) from error
        return connection
