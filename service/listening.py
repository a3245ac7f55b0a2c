"""The addresses that the service listens on."""

import socket
from collections.abc import Callable
from typing import Final

ALL_ADDRESSES: Final = "::"
"""All addresses of the machine, of IPv6 and IPv4: a pod of an IPv6-only cluster has none of IPv4."""


def available_host(host: str, has_dual_stack: Callable[[], bool] = socket.has_dualstack_ipv6) -> str:
    """Return the host, or all addresses of IPv4 in place of all addresses where the kernel has no IPv6."""
    return "0.0.0.0" if host == ALL_ADDRESSES and not has_dual_stack() else host  # noqa: S104


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """Return a socket that listens on this address and port.

    Raises:
        OSError: The port is taken, or the host is not an address of this machine.
    """
    if ":" not in host:
        return socket.create_server((host, port), backlog=backlog)
    is_dual = host == ALL_ADDRESSES
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=is_dual)
