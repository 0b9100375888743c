"""Work that is too long for one turn of the loop: one slice per turn, and requests take turns."""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import TypeAlias

from ..http.answer import Answer, error
from ..http.application import Outcome, Responder
from ..http.request import Request
from ..http.server import ServerConnection

Steps: TypeAlias = Generator[None, None, Outcome]
"""Steps of an outcome; yields at the end of a slice."""


class Turns:
    """Runs the steps of requests. The first slice of each runs at once, and nearly all have no other."""

    def __init__(self) -> None:
        self._waiting: deque[Working] = deque()
        self._scheduled = False

    def run(self, steps: Steps, request: Request, client: ServerConnection) -> Outcome:
        """Run the first slice; return the outcome, or a responder that waits for it."""
        try:
            next(steps)
        except StopIteration as done:
            outcome: Outcome = done.value
            return outcome
        client.deadline = float("inf")  # the remaining work is bounded by the size of the body
        working = Working(steps, request, client)
        self._waiting.append(working)
        self._later()
        return working

    def _later(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        working = self._waiting.popleft()
        if working.step():
            self._waiting.append(working)
        if self._waiting:
            self._later()


class Working:
    """Responder for a request whose outcome is not ready; forwards events of the client to the later responder."""

    def __init__(self, steps: Steps, request: Request, client: ServerConnection) -> None:
        self._steps = steps
        self._request = request
        self._client = client
        self._responder: Responder | None = None
        self._over = False

    def step(self) -> bool:
        """Run the next slice; tell if there is another."""
        if self._over:
            return False
        try:
            next(self._steps)
        except StopIteration as done:
            outcome: Outcome = done.value
            if isinstance(outcome, Answer):
                self._client.answer(self._request, outcome)
            else:
                self._responder = outcome
        except Exception as reason:  # noqa: BLE001 (any error is answered)
            _failed(reason, self._request, self._client)
        else:
            return True
        self._over = True
        return False

    def client_gone(self) -> None:
        """Drop the work, or cancel the responder."""
        self._over = True
        self._steps.close()
        if self._responder is not None:
            self._responder.client_gone()

    def pause(self) -> None:
        """Pause the responder, if there is one."""
        if self._responder is not None:
            self._responder.pause()

    def resume(self) -> None:
        """Resume the responder, if there is one."""
        if self._responder is not None:
            self._responder.resume()

    def expire(self) -> None:
        """Expire the responder, if there is one."""
        if self._responder is not None:
            self._responder.expire()


def _failed(reason: Exception, request: Request, client: ServerConnection) -> None:
    message = f"cannot answer {request.method} {request.path[:100]}"
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": reason})
    if request.status:
        client.abort()
    else:
        client.answer(request, error(500, "internal", f"{message}; the log has the reason"))
