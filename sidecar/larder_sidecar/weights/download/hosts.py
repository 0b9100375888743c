"""How many connections a host gets at one time, over all files, and when it is left alone."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

CONNECTIONS = 4
"""To one host at a time. More gain little on any network that we know, and hubs answer them with 429."""
_POLL = 0.2


class Host:
    """What all who download from one host share: who is told to wait makes everybody wait.

    `most` is how many connections it gets at a time. `clock` tells seconds. Who asks first gets one first: a large
    file, which asks again at once for its next piece, leaves turns to small ones.
    """

    def __init__(self, connections: int = CONNECTIONS, clock: Callable[[], float] = time.monotonic) -> None:
        self._change, self._clock = threading.Condition(), clock
        self.most, self._used, self._not_before = connections, 0, 0.0
        self._queue: deque[object] = deque()

    @contextmanager
    def connection(self, guard: Callable[[], None], pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
        """One of its connections, when there is one and the host is not left alone. `guard` raises to give up."""
        turn = object()
        with self._change:
            self._queue.append(turn)
        try:
            while (wait := self._take(turn)) > 0:
                guard()
                pause(min(wait, 1.0))
        except BaseException:
            with self._change:
                self._queue.remove(turn)
                self._change.notify_all()
            raise
        try:
            guard()
            yield
        finally:
            with self._change:
                self._used -= 1
                self._change.notify_all()

    def rest(self, seconds: float, *, busy: bool) -> None:
        """Nobody asks it anything for so long; a host that is `busy` gets half as many connections from now on."""
        with self._change:
            self._not_before = max(self._not_before, self._clock() + seconds)
            if busy:
                self.most = max(1, self.most // 2)

    def _take(self, turn: object) -> float:
        """Take a connection; else the seconds after which another look is worth it."""
        with self._change:
            if (rest := self._not_before - self._clock()) > 0:
                return rest
            free = self._change.wait_for(lambda: self._free_for(turn), _POLL)
            if not free or self._not_before > self._clock():
                return 1e-3
            self._queue.popleft()
            self._used += 1
            self._change.notify_all()
            return 0.0

    def _free_for(self, turn: object) -> bool:
        return self._used < self.most and self._queue[0] is turn


class Hosts:
    """The hosts of a run, each by its name and port: what one file taught about a host holds for the next."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}

    def of(self, url: str) -> Host:
        """The host that a URL names."""
        # Not about trust: a name that is read wrongly has limits of its own.
        return self._hosts.setdefault(urlsplit(url).netloc, Host())
