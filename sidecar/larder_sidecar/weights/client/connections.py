"""Connections: each resolves its name once, judges the addresses, and connects to one that is allowed.

TLS and the Host header keep the name. A proxy resolves names itself: then the name is judged by the addresses that it
has here, and a name without any counts as public.
"""

import contextvars
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, LocationParseError, NameResolutionError, NewConnectionError

from . import proxy
from .address import Address, Origin
from .reach import Reach, is_public, resolve_host

if TYPE_CHECKING:
    from urllib3._base_connection import BaseHTTPConnection

CONNECT_SECONDS = 10.0
USER_AGENT = "larder-sidecar"
Body = Iterable[bytes] | bytes | None
_reach: contextvars.ContextVar[Reach] = contextvars.ContextVar("reach", default=Reach.ANYWHERE)


class OutOfReachError(Exception):
    """A host has no address that may be connected to."""


class Connections:
    """A pool of connections, safe for threads. `stall_seconds` of silence end an answer.

    A host that has answered from a public address is held to public addresses from then on.
    """

    def __init__(self, stall_seconds: float) -> None:
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds)
        self._managers: dict[str | None, urllib3.PoolManager] = {}
        self._public: dict[Origin, bool] = {}

    def close(self) -> None:
        """Give the connections back."""
        for manager in self._managers.values():
            manager.clear()

    def request(
        self,
        method: str,
        address: Address,
        headers: Mapping[str, str],
        reach: Reach,
        body: Body = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request and return the answer. Raises OutOfReachError, HubError and urllib3's exceptions."""
        reach = self._limit_reach(address, reach)
        way = proxy.proxy_for(address)
        if way is not None and not reach.allows_name(address.host):
            raise OutOfReachError
        manager = self._managers.get(way) or self._managers.setdefault(way, _manager(way))
        before = _reach.set(reach)
        try:
            answer = manager.request(
                method,
                address.url,
                headers={"User-Agent": USER_AGENT, **headers},
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=self._timeout,
            )
        finally:
            _reach.reset(before)
        if isinstance(answer.connection, _Connection):
            public = is_public(answer.connection.address)
            self._public[address.origin] = public or self._public.get(address.origin, False)
        return answer

    def reach(self, sender: Address, target: Address) -> Reach:
        """Return the reach for `target`, to which `sender` has sent us: a host outside may not send us inside."""
        if proxy.proxy_for(sender) is None:
            inside = self._public.get(sender.origin) is False
        elif proxy.proxy_for(target) is None:
            inside = False  # the addresses of the sender's name here are not those that answered the proxy
        else:
            inside = sender.host == target.host or Reach.INSIDE.allows_name(sender.host)
        return Reach.ANYWHERE if inside else Reach.PUBLIC

    def _limit_reach(self, address: Address, reach: Reach) -> Reach:
        if not self._public.get(address.origin):
            return reach
        if reach is Reach.INSIDE:
            raise OutOfReachError
        return Reach.PUBLIC


class _Connection(HTTPConnection):
    """A connection to an address of its host that the current reach allows; `address` is that address."""

    address = ""

    def _new_conn(self) -> socket.socket:
        name, failed = self._dns_host, None
        try:
            found = resolve_host(name, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError:
            raise LocationParseError(f"{name!r}: a label is empty or too long") from None
        try:
            for address in filter(_reach.get().allows, found):
                self._dns_host = self.address = address
                try:
                    return super()._new_conn()
                except (NewConnectionError, ConnectTimeoutError) as error:
                    failed = error
        finally:
            self._dns_host = name
        raise failed or OutOfReachError


class _SecureConnection(_Connection, HTTPSConnection):
    """A connection with TLS."""


class _Pool(HTTPConnectionPool):
    """A pool of connections to one host. A connection that the current reach forbids is replaced."""

    ConnectionCls = _Connection

    def _get_conn(self, timeout: float | None = None) -> "BaseHTTPConnection":
        connection = super()._get_conn(timeout)
        if isinstance(connection, _Connection) and connection.sock and not _reach.get().allows(connection.address):
            connection.close()
        return connection


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _manager(way: str | None) -> urllib3.PoolManager:
    if way is not None:
        return proxy.proxy_manager(way)
    manager = urllib3.PoolManager(maxsize=proxy.MAX_IDLE)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager
