"""Listening sockets: both IP families under one address, and a shutdown without resets."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable

BACKLOG = 1024

Factory = Callable[[], asyncio.Protocol]


class ListenError(Exception):
    """The error for an address on which the process cannot listen."""


class Listener:
    """One address with its servers."""

    def __init__(self, servers: list[asyncio.Server], sockets: list[socket.socket], factory: Factory) -> None:
        self._servers = servers
        self._sockets = sockets
        """Duplicates of the servers' sockets: the kernel's queue lives until both are closed."""
        self._factory = factory
        self.port = int(sockets[0].getsockname()[1])

    @classmethod
    async def open(cls, key: str, address: str, factory: Factory) -> "Listener":
        """Listen on `address`, which the settings call `key`. Raises ListenError."""
        host, _, port = address.rpartition(":")
        try:
            sockets = await _bind(host.strip("[]"), int(port))
        except OSError as reason:
            raise ListenError(_why(key, address, reason)) from reason
        doubles = [one.dup() for one in sockets]
        loop = asyncio.get_running_loop()
        return cls([await loop.create_server(factory, sock=one, backlog=BACKLOG) for one in sockets], doubles, factory)

    async def retire(self) -> None:
        """Stop listening, and accept all connections in the kernel's queue: closing alone would reset them."""
        for server in self._servers:
            server.close()
        waiting: list[socket.socket] = []
        for double in self._sockets:
            double.settimeout(0)
            with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                while True:
                    waiting.append(double.accept()[0])
            double.close()  # at once: a connection that arrives between is reset
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._factory, connection)

    def close(self) -> None:
        """Stop listening at once."""
        for server in self._servers:
            server.close()
        for double in self._sockets:
            double.close()


async def _bind(host: str, port: int) -> list[socket.socket]:
    if host == "::":
        if socket.has_dualstack_ipv6():
            return [
                socket.create_server(("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True),
            ]
        host = "0.0.0.0"  # noqa: S104 (a kernel without IPv6: all IPv4 addresses)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, place in dict.fromkeys(found):
            sockets.append(socket.create_server(place[:2], family=family, backlog=BACKLOG))
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _why(key: str, address: str, reason: OSError) -> str:
    if reason.errno == errno.EADDRINUSE:
        return f"{key}: {address} is in use by another process. Fix: stop it, or set `{key}` to another port"
    if reason.errno == errno.EACCES:
        return f"{key}: {address} is not permitted for this user. Fix: use a port above 1023"
    detail = reason.strerror if isinstance(reason, socket.gaierror) else os.strerror(reason.errno or 0)
    return f"{key}: cannot listen on {address}: {detail}"
