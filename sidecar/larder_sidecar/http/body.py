"""The body of one request in memory, until the request is complete."""

import time
from typing import cast

from ..config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .registry import Registry

MOVE_BYTES = 64 * 1024
"""Growth in bytes that counts as progress of a body."""
SMALL_BODY = 2**20
"""Limit for bodies that may take the last eighth of the memory for bodies, in bytes."""


class Body:
    """A body that grows in place, counted against the memory that all bodies share.

    Joining pieces at the end would take twice the memory, and for 32 MiB about 20 ms of one turn of the loop.
    """

    def __init__(self, limits: Limits, registry: Registry) -> None:
        self._registry = registry
        self._share = limits.buffered_bytes
        self._large_share = limits.buffered_bytes - limits.buffered_bytes // 8
        self._content = b""
        self._next_move = 0
        self.moved = 0.0
        """Monotonic time at which it last grew by MOVE_BYTES; undefined while it is smaller."""

    def add(self, piece: bytes, received: int) -> bool:
        """Store a piece, with which the body has `received` bytes.

        Returns True if there is room for it, after other bodies have made room if necessary.
        """
        registry, content = self._registry, self._content
        registry.held += len(piece)
        if not content:
            self._content = piece
            self._next_move = MOVE_BYTES
        elif isinstance(content, bytearray):
            content += piece
        else:
            # A bytearray that is not changed any more reads like bytes.
            self._content = cast("bytes", bytearray().join((content, piece)))
        if received >= self._next_move:
            self.moved, self._next_move = time.monotonic(), received + MOVE_BYTES
        if registry.held <= self._large_share:
            return True
        share = self._share if received <= SMALL_BODY else self._large_share
        if registry.held > share:
            self.moved = time.monotonic()  # the body has made progress
            return registry.free(share)
        return True

    def take(self) -> bytes:
        """Return the whole body. Its bytes stay counted until the request is answered."""
        content, self._content = self._content, b""
        return content

    def drop(self) -> None:
        """Discard all bytes."""
        self._registry.held -= len(self._content)
        self._content = b""

    def __bool__(self) -> bool:
        """Return True if some of it has arrived."""
        return bool(self._content)


def overloaded() -> Answer:
    """Return the answer for a request whose body finds no room, or has to make room."""
    return error(503, "overloaded", "too many large requests at once. Fix: try again", headers=RETRY_SOON)
