"""The replicas of one engine, as the front sees them: where they are, what each holds, and which gets a request.

By the names of a headless Service, and not by the API server's EndpointSlices: a front needs no account in the cluster
for it, and whoever is not ready is in neither. A replica that goes before its name does refuses connections, or turns
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
"""Between two looks at who is there and what each holds."""
FAILING_SECONDS = 2.0
"""A replica that refused a connection or a request is passed over for so long."""


class Replica:
    """One gateway beside an engine."""

    def __init__(self, host: str, port: int, connect_seconds: float) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.pool = Pool(f"http://{self.address}", connect_seconds)
        self.gateway = Gateway(functools.partial(call.ask, self.pool))
        self.loaded: frozenset[str] = frozenset()
        self.full = False
        """Whether another model would push one of those out."""

    @property
    def busy(self) -> int:
        """Requests of ours that it is answering."""
        return self.pool.busy

    @property
    def failing(self) -> bool:
        """Whether it has just refused a connection or a request."""
        return self.pool.failed_within(FAILING_SECONDS)

    async def look(self) -> None:
        """Ask what it holds; one that does not say so holds nothing."""
        told = await self.gateway.stats() or {}
        loaded, most = told.get("loaded_models"), told.get("max_models")
        self.loaded = frozenset(map(str, loaded)) if isinstance(loaded, list) else frozenset()
        self.full = isinstance(most, int) and len(self.loaded) >= most
        self.pool.close_idle(IDLE_SECONDS)


class Replicas:
    """All that stand behind one name."""

    def __init__(self, url: str, connect_seconds: float) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._connect_seconds = connect_seconds
        self._here: dict[str, Replica] = {}

    def pick(self, model: str) -> Pool | None:
        """The way to the replica that a request of this model goes to; None while nobody is there."""
        replica = chosen(model, self._here.values())
        return replica.pool if replica else None

    def here(self) -> list[Replica]:
        """Those that are there."""
        return [*self._here.values()]

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Who is there now, and what each holds."""
        try:
            hosts = await addresses(self._host, self._port)
        except OSError:
            hosts = [*self._here]  # nobody can say: as before
        for host in self._here.keys() - hosts:
            self._here.pop(host).pool.close_idle()
        for host in hosts:
            if host not in self._here:
                self._here[host] = Replica(host, self._port, self._connect_seconds)
        await asyncio.gather(*(replica.look() for replica in self.here()))

    def close(self) -> None:
        """Close what is idle."""
        for replica in self.here():
            replica.pool.close_idle()


async def addresses(host: str, port: int) -> list[str]:
    """Of a name, by DNS; none where it does not exist now. Raises OSError where nobody answers."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as reason:
        if reason.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return []
        raise
    return sorted({str(place[0]) for *_, place in found})
