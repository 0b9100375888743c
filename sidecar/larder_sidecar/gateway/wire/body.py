"""The body of one request in memory, from its first byte until the request is whole."""

import time

from ...config.gateway import Limits
from .answer import RETRY_SOON, Answer, error
from .registry import Registry

MOVE_BYTES = 64 * 1024
"""A body that grows by less has not moved."""
SMALL_BODY = 2**20
"""Only bodies up to this size may take the last eighth of the memory for bodies."""
_SMALL_PIECE = 1024
"""Smaller pieces are put together as they come: an object of its own takes more memory than such a piece."""


class Body:
    """Pieces of a body, counted against the memory that all bodies share."""

    def __init__(self, limits: Limits, registry: Registry) -> None:
        self._registry = registry
        self._share = limits.buffered_bytes
        self._large_share = limits.buffered_bytes - limits.buffered_bytes // 8
        self._pieces: list[bytes | bytearray] = []
        self._next_move = 0
        self.moved = 0.0
        """When it last grew by MOVE_BYTES, by the monotonic clock; means nothing while it is smaller."""

    def add(self, piece: bytes, received: int) -> bool:
        """Keep a piece, with which the body has `received` bytes.

        Returns whether there is room for it, others having made way if need be.
        """
        registry, pieces = self._registry, self._pieces
        registry.held += len(piece)
        if not pieces:
            pieces.append(piece)
            self._next_move = MOVE_BYTES
        elif len(piece) >= _SMALL_PIECE:
            pieces.append(piece)
        elif isinstance(tail := pieces[-1], bytearray):
            tail += piece
        else:
            pieces.append(bytearray(piece))
        if received >= self._next_move:
            self.moved, self._next_move = time.monotonic(), received + MOVE_BYTES
        if registry.held <= self._large_share:
            return True
        share = self._share if received <= SMALL_BODY else self._large_share
        if registry.held > share:
            self.moved = time.monotonic()  # this is none that stands still
            return registry.free(share)
        return True

    def take(self) -> bytes:
        """The whole of it. Its bytes stay counted until the request is answered."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        return b"".join(pieces)

    def drop(self) -> None:
        """Forget what has arrived."""
        self._registry.held -= sum(map(len, self._pieces))
        self._pieces = []

    def __bool__(self) -> bool:
        """Whether some of it has arrived."""
        return bool(self._pieces)


def overloaded() -> Answer:
    """For a request whose body finds no room, or has to make room."""
    return error(503, "overloaded", "too many large requests at once", headers=RETRY_SOON)
