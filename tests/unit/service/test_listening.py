"""The service listens on all addresses of IPv4 and IPv6, if the machine has both."""

import socket
from collections.abc import Iterator

import pytest

from service.listening import ALL_ADDRESSES, available_host, listen


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a socket that listens on all addresses."""
    with listen(available_host(ALL_ADDRESSES), 0, 16) as listening:
        yield listening


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_addresses_are_of_both_families(listener: socket.socket, address: str) -> None:
    """One socket takes connections of IPv4 and of IPv6."""
    if address == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with socket.create_connection((address, listener.getsockname()[1]), timeout=5):
        connection, _ = listener.accept()
        connection.close()


@pytest.mark.parametrize(
    ("host", "has_dual_stack", "available"),
    [("::", True, "::"), ("::", False, "0.0.0.0"), ("127.0.0.1", False, "127.0.0.1"), ("::1", False, "::1")],  # noqa: S104
)
def test_without_ipv6_all_addresses_are_those_of_ipv4(host: str, available: str, *, has_dual_stack: bool) -> None:
    """A kernel without IPv6 rejects its addresses. An address that was chosen is not changed."""
    assert available_host(host, lambda: has_dual_stack) == available


def test_a_chosen_address_is_the_only_one() -> None:
    """A service on the loopback address has no other address."""
    with listen("127.0.0.1", 0, 16) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
