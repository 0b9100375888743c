"""Limits of hosts: connections at one time, over all files, and pauses; and attempts within them."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from ..errors import BusyError, DeniedError, TransientError
from ..progress import Reporter
from ..retry import Tries, report_wait

T = TypeVar("T")
CONNECTIONS = 4
"""Connections to one host at a time. More gain little on any network that we know, and hubs answer them with 429."""
_POLL = 0.2


class Host:
    """The limits of one host, which its downloads share: a pause that it asks for holds for all of them.

    `limit` is the number of connections at a time. `clock` returns seconds. Turns are first come, first served: a large
    file, which asks again at once for its next piece, leaves turns to small ones.
    """

    def __init__(self, connections: int = CONNECTIONS, clock: Callable[[], float] = time.monotonic) -> None:
        self._change, self._clock = threading.Condition(), clock
        self.limit, self._used, self._not_before = connections, 0, 0.0
        self._queue: deque[object] = deque()

    @contextmanager
    def connection(self, guard: Callable[[], None], pause: Callable[[float], object] = time.sleep) -> Iterator[None]:
        """Wait for a free connection and for the end of a pause. `guard` raises to give up."""
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

    def back_off(self, seconds: float, *, busy: bool) -> None:
        """Pause all requests for `seconds`; a host that is `busy` gets half as many connections from now on."""
        with self._change:
            self._not_before = max(self._not_before, self._clock() + seconds)
            if busy:
                self.limit = max(1, self.limit // 2)

    def _take(self, turn: object) -> float:
        """Take a connection, and return 0; else return the seconds until another attempt."""
        with self._change:
            if (rest := self._not_before - self._clock()) > 0:
                return rest
            free = self._change.wait_for(lambda: self._is_free_for(turn), _POLL)
            if not free or self._not_before > self._clock():
                return 1e-3
            self._queue.popleft()
            self._used += 1
            self._change.notify_all()
            return 0.0

    def _is_free_for(self, turn: object) -> bool:
        return self._used < self.limit and self._queue[0] is turn


class Hosts:
    """The hosts of a run by name and port: limits that one file has met hold for the next file."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}

    def for_url(self, url: str) -> Host:
        """Return the host of a URL."""
        # This is not about trust: a name that is parsed wrongly only gets limits of its own.
        return self._hosts.setdefault(urlsplit(url).netloc, Host())


class Attempts:
    """Attempts for a file that events call `name`. `pause` waits before another one, in seconds."""

    def __init__(self, name: str, host: Host, reporter: Reporter, pause: Callable[[float], object]) -> None:
        self._name, self._host, self._reporter, self._pause = name, host, reporter, pause
        self.served = False
        """True once the source has begun to send the file: a later refusal may go away."""

    def run(self, attempt: Callable[[], T], tries: Tries, guard: Callable[[], None], progress: Callable[[], int]) -> T:
        """Return the result of `attempt`, repeated as `tries` allows. `guard` raises to give up. Raises HubError.

        `progress` returns the number of bytes that are here.
        """
        while True:
            with self._host.connection(guard, self._pause):
                began = time.monotonic()
                try:
                    return attempt()
                except (TransientError, DeniedError) as caught:
                    error = self._require_transient(caught)
                    guard()  # we may have cut the connection ourselves
                    wait = tries.next_wait(error, began=began, progress=progress())
                    if wait is not None:
                        self._host.back_off(wait, busy=isinstance(error, BusyError))
                        report_wait(self._reporter, error, wait, file=self._name)

    def _require_transient(self, error: TransientError | DeniedError) -> TransientError:
        """Return an error that may go away: also a refusal once the source has sent bytes. Raises every other error."""
        if isinstance(error, TransientError):
            return error
        if not self.served:
            raise error
        return TransientError(error.reason, error.remedy)
