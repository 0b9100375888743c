"""All open client connections: their number is capped, their deadlines are looked at in one sweep."""

import asyncio
from typing import Protocol


class Member(Protocol):
    """What the registry asks of a connection."""

    deadline: float

    @property
    def busy(self) -> bool:
        """Whether a request is being read or answered, or an answer is not sent yet."""

    @property
    def hears(self) -> bool:
        """Whether it will answer another request."""

    def expire(self, now: float) -> None:
        """The deadline has passed."""

    def close(self) -> None:
        """Close as soon as everything written is sent."""

    def retire(self) -> None:
        """Close if it is idle, so that a request which crosses the end is not reset."""

    def make_room(self) -> bool:
        """Close at once, unless its client has asked for something; whether it did."""

    def abort(self) -> None:
        """Break off."""


class Registry:
    """The connections of one listener.

    Deadlines are attributes compared every `period` seconds: a timer for each request would cost more than the rest
    of its bookkeeping.
    """

    def __init__(self, cap: int, period: float = 0.1) -> None:
        self.cap = cap
        self.held = 0
        """Bytes of request bodies in memory."""
        self._period = period
        self._members: set[Member] = set()

    def add(self, member: Member) -> bool:
        """Take it in, for the one that has been idle longest if need be; or say that there are enough.

        Else whoever holds idle connections, of the admin port above all, would have probes refused and the pod killed.
        """
        if len(self._members) >= self.cap:
            for idle in sorted((m for m in self._members if not m.busy), key=lambda m: m.deadline):
                if idle.make_room():
                    self._members.remove(idle)
                    break
            else:
                return False
        self._members.add(member)
        return True

    def discard(self, member: Member) -> None:
        """It is closed."""
        self._members.discard(member)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def in_flight(self) -> int:
        """Connections with a request that is being read or answered."""
        return sum(member.busy for member in self._members)

    @property
    def awaited(self) -> int:
        """Connections on which a request would be answered."""
        return sum(member.hears for member in self._members)

    def retire_idle(self) -> None:
        """Close every connection that has been answered and waits for another request."""
        for member in list(self._members):
            member.retire()

    def close_all(self) -> None:
        """Break off what is in flight, close the rest."""
        for member in list(self._members):
            if member.busy:
                member.abort()
            else:
                member.close()

    async def sweep(self) -> None:
        """Run for ever: end what is past its deadline."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._period)
            now = loop.time()
            for member in [m for m in self._members if m.deadline < now]:
                member.expire(now)
