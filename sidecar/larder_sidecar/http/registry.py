"""Registry of open client connections: limits their number, and checks their deadlines in one sweep."""

import asyncio
import math
import time
from collections import deque
from typing import Protocol


class Member(Protocol):
    """A connection as the registry sees it."""

    deadline: float

    @property
    def busy(self) -> bool:
        """Tell if a request is being read or answered, or an answer is not sent yet."""

    def turn(self) -> None:
        """Answer the next waiting request."""

    def used_share(self, now: float) -> float:
        """Return the fraction of its client's time that is used up; -inf if the connection must stay."""

    def seconds_without_growth(self, now: float) -> float:
        """Return the seconds since its waiting bodies grew, 0 without any; `now` is monotonic."""

    def discard_bodies(self) -> None:
        """Refuse the requests whose bodies wait, and discard the bodies."""

    @property
    def accepts_requests(self) -> bool:
        """Tell if it will answer another request."""

    def expire(self, now: float) -> None:
        """Act on its deadline, which has passed."""

    def close(self) -> None:
        """Close as soon as everything written is sent."""

    def retire(self) -> None:
        """Close if it is idle, so that a request which crosses the end is not reset."""

    def make_room(self) -> bool:
        """Close at once, unless its client has just sent a request; return True if closed."""

    def abort(self) -> None:
        """Break off."""


MAX_EXAMINED = 4096
"""Members that one turn of the loop examines to find one that makes room: 2 ms on a slow machine."""
STALE_SECONDS = 1.0
"""Age limit for the order in which members make room; also the time without growth after which a body makes room."""
_AT_A_TIME = 32
"""Limit for deadlines that are handled in one turn of the loop."""


class Registry:
    """The connections of one listener.

    Deadlines are attributes compared every `period` seconds: a timer for each request would cost more than the rest
    of its bookkeeping.
    """

    def __init__(self, cap: int, period: float = 0.1) -> None:
        self.cap = cap
        self.held = 0
        """Request bodies in memory, in bytes."""
        self._period = period
        self._members: set[Member] = set()
        self._queue: deque[Member] = deque()
        """Members with requests that wait for their turn."""
        self._candidates: list[tuple[float, int, Member]] = []
        """Members that make room, the first one last."""
        self._ordered = -math.inf
        """Loop time at which that order was made."""
        self._examined_at = -math.inf
        self._examined = 0
        """Members examined in the turn of the loop that began then."""

    def add(self, member: Member) -> bool:
        """Add a connection, in place of another one if the limit is reached; return False if none can make room.

        The one that has used up most of its time makes room: it is idle, sends a head or body slowly, or does not take
        its answer. One whose request is being answered stays. Else a client could hold all connections, of the admin
        port above all, and have all others refused, probes among them, and the pod killed.
        """
        if len(self._members) >= self.cap and not self._make_room():
            return False
        self._members.add(member)
        return True

    def later(self, member: Member) -> None:
        """Queue the member for a turn: one turn of the loop serves one member."""
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._turn)
        self._queue.append(member)

    def free(self, share: int) -> bool:
        """Have bodies without growth make room until at most `share` is held; return True if there is room."""
        now = asyncio.get_running_loop().time()
        if self._may_examine(now):
            clock = time.monotonic()
            still = [(member.seconds_without_growth(clock), id(member), member) for member in self._members]
            for seconds, _, member in sorted(still, reverse=True):
                if seconds < STALE_SECONDS or self.held <= share:
                    break
                member.discard_bodies()
        return self.held <= share

    def discard(self, member: Member) -> None:
        """Remove a closed connection."""
        self._members.discard(member)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def in_flight(self) -> int:
        """Return the number of connections with a request that is being read or answered."""
        return sum(member.busy for member in self._members)

    @property
    def accepting(self) -> int:
        """Return the number of connections on which a request would be answered."""
        return sum(member.accepts_requests for member in self._members)

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
        """End connections past their deadline, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._period)
            now = loop.time()
            for count, member in enumerate([m for m in self._members if m.deadline < now], 1):
                if member.deadline < now:
                    member.expire(now)
                if not count % _AT_A_TIME:
                    await asyncio.sleep(0)

    # --- inside

    def _turn(self) -> None:
        member = self._queue.popleft()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._turn)
        member.turn()

    def _make_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._ordered <= STALE_SECONDS and self._close_one(now):
            return True
        if not self._may_examine(now):
            return False
        self._ordered = now
        order = ((member.used_share(now), id(member), member) for member in self._members)
        self._candidates = sorted(one for one in order if one[0] > -math.inf)
        return self._close_one(now)

    def _close_one(self, now: float) -> bool:
        while self._candidates:
            used_share, _, member = self._candidates.pop()
            # It may have moved since the order was made.
            if member in self._members and member.used_share(now) >= used_share and member.make_room():
                self._members.discard(member)
                return True
        return False

    def _may_examine(self, now: float) -> bool:
        if now != self._examined_at:  # the clock is constant during one turn of the loop
            self._examined_at, self._examined = now, 0
        self._examined += len(self._members)
        return self._examined <= max(MAX_EXAMINED, len(self._members))
