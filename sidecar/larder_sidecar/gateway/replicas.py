"""The replicas of one engine, as the front sees them: addresses, loaded models, and the choice for a request.

They are found by the DNS of a headless Service, not by EndpointSlices, so that a front needs no account in the cluster.
Neither contains unready pods. A replica that ends before its DNS record does refuses connections, or turns
requests away, and the next one is tried.
"""

import asyncio
import functools
import socket
from urllib.parse import urlsplit

from ..engines.gateway import Gateway
from ..http import call
from ..http.pool import IDLE_SECONDS, Pool
from ..routing.affinity import chosen

LOOK_SECONDS = 2.0
"""Seconds between two looks at the replicas and their loaded models."""
FAILING_SECONDS = 2.0
"""Seconds for which a replica that refused a connection or a request is skipped."""


class Replica:
    """One gateway in an engine's pod."""

    def __init__(self, host: str, port: int, connect_seconds: float) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.pool = Pool(f"http://{self.address}", connect_seconds)
        self.gateway = Gateway(functools.partial(call.ask, self.pool))
        self.loaded: frozenset[str] = frozenset()
        self.full = False
        """True if another model would evict one of those."""

    @property
    def busy(self) -> int:
        """Return the number of our requests that it is answering."""
        return self.pool.busy

    @property
    def failing(self) -> bool:
        """Tell if it has just refused a connection or a request."""
        return self.pool.failed_within(FAILING_SECONDS)

    async def look(self) -> None:
        """Ask for its loaded models; without an answer it has none."""
        stats = await self.gateway.stats() or {}
        loaded, most = stats.get("loaded_models"), stats.get("max_models")
        self.loaded = frozenset(map(str, loaded)) if isinstance(loaded, list) else frozenset()
        self.full = isinstance(most, int) and len(self.loaded) >= most
        self.pool.close_idle(IDLE_SECONDS)


class Replicas:
    """All replicas behind one name."""

    def __init__(self, url: str, connect_seconds: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._connect_seconds = connect_seconds
        self._here: dict[str, Replica] = {}

    def pick(self, model: str) -> Pool | None:
        """Return the pool of the replica for a request of this model; None if there is no replica."""
        replica = chosen(model, self._here.values())
        return replica.pool if replica else None

    def here(self) -> list[Replica]:
        """Return the replicas that are there."""
        return [*self._here.values()]

    async def watch(self) -> None:
        """Look periodically until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Update the replicas and their loaded models."""
        try:
            hosts = await addresses(self._host, self._port)
        except OSError:
            hosts = [*self._here]  # DNS does not answer: keep the replicas
        for host in self._here.keys() - hosts:
            self._here.pop(host).pool.close_idle()
        for host in hosts:
            if host not in self._here:
                self._here[host] = Replica(host, self._port, self._connect_seconds)
        await asyncio.gather(*(replica.look() for replica in self.here()))

    def close(self) -> None:
        """Close idle connections."""
        for replica in self.here():
            replica.pool.close_idle()


async def addresses(host: str, port: int) -> list[str]:
    """Return the addresses of a name, none if it does not exist now. Raises OSError if DNS does not answer."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as reason:
        if reason.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise
    return sorted({str(place[0]) for *_, place in found})
