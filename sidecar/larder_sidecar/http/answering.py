"""Responder for an answer that takes time, as a task."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from .answer import Answer, error
from .request import Request
from .server import ServerConnection


class Answering:
    """Makes an answer and writes it, unless the client leaves first. The answer has its own time limit."""

    def __init__(
        self, answer: Coroutine[Any, Any, Answer], request: Request, client: ServerConnection, *, goes_on: bool = False
    ) -> None:
        client.deadline = float("inf")
        self._goes_on = goes_on
        self._task = asyncio.get_running_loop().create_task(answer)
        self._task.add_done_callback(lambda task: _write(task, request, client))

    def client_gone(self) -> None:
        """Cancel the answer, unless it goes on without its client."""
        if not self._goes_on:
            self._task.cancel()

    def pause(self) -> None:
        """Do nothing: the answers are small."""

    def resume(self) -> None:
        """Do nothing: the answers are small."""

    def expire(self) -> None:
        """Do nothing: each answer has its own time limit."""


def _write(task: asyncio.Task[Answer], request: Request, client: ServerConnection) -> None:
    if task.cancelled():
        return
    if (reason := task.exception()) is not None:
        message = f"cannot answer {request.method} {request.path[:100]}"
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": reason, "task": task})
        client.answer(request, error(500, "internal", f"{message}; the log has the reason"))
        return
    client.answer(request, task.result())
