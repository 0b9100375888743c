"""Reach: the split of addresses into the public internet and our own network."""

import enum
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# `is_global` calls these global in some or all releases of Python 3.11.
_NOT_PUBLIC_V4 = (
    ip_network("168.63.129.16/32"),  # the host of every virtual machine on Azure
    ip_network("192.0.0.0/24"),  # protocol assignments, among them Oracle's metadata service
    ip_network("192.88.99.0/24"),  # 6to4 relays
    ip_network("224.0.0.0/4"),  # multicast
)
_NOT_PUBLIC_V6 = (
    ip_network("2001::/23"),  # protocol assignments, among them Teredo
    ip_network("3fff::/20"),  # documentation
)
_GLOBAL_UNICAST = ip_network("2000::/3")
"""The one block of IPv6 that IANA assigns; the rest is loopback, private, multicast or reserved."""
_MAPPED, _NAT64 = ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96")


class Reach(enum.Enum):
    """The addresses that a connection may lead to."""

    ANYWHERE = enum.auto()
    PUBLIC = enum.auto()
    INSIDE = enum.auto()

    def allows(self, address: str) -> bool:
        """Return True for an allowed address, in the notation of getaddrinfo."""
        return self is Reach.ANYWHERE or is_public(address) is (self is Reach.PUBLIC)

    def allows_name(self, host: str) -> bool:
        """Return True if all addresses of a host are allowed. A host without any counts as public."""
        if self is Reach.ANYWHERE:
            return True
        try:
            found = resolve_host(host)
        except (OSError, UnicodeError):
            found = []
        return all(map(self.allows, found)) if found else self is Reach.PUBLIC


def is_public(address: str) -> bool:
    """Return True for an address of the public internet. An IPv4 address inside an IPv6 one decides."""
    return _is_public(ip_address(address.strip("[]").partition("%")[0]))


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in block for block in _NOT_PUBLIC_V4)
    if address in _MAPPED or address in _NAT64:
        return _is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        return _is_public(address.sixtofour)
    in_use = address in _GLOBAL_UNICAST and address.is_global
    return in_use and not any(address in block for block in _NOT_PUBLIC_V6)


def resolve_host(host: str, port: int | None = None) -> list[str]:
    """Return the addresses of a host, or of an address itself, in the order of attempts.

    Raises OSError, and UnicodeError for a name whose labels are empty or too long.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))
