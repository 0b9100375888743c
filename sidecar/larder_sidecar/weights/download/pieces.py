"""The pieces of a file: which bytes of it are here, in memory and in a small file beside the part.

    {"etag": "\"abc\"", "size": 12582912, "length": 4194304, "have": [  4194304,    98304,        0]}

Counts have a fixed width: each is overwritten in place by one short write, after the bytes that it counts. A process
that is killed between the two loses a chunk of them. What is torn, or cannot be true, is not believed at all.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..store import untrusted

LEAST, MOST = 4 << 20, 32 << 20
"""Bytes of a piece. Smaller ones pay for more requests than they save time, and hubs count requests; larger ones
leave the hash, which goes from the beginning to the end, far behind what has come."""
_SHARE = 16
"""Pieces that a file of middling size is cut into."""
_AT_MOST = 1 << 16
"""Pieces of any file, so that no announced size makes a list of its own length; 2 TiB come in pieces of MOST bytes."""
LARGEST = _AT_MOST * 999_999_999
"""Bytes of a file that can be cut so: the journal's counts have nine digits."""


@dataclass(frozen=True)
class Piece:
    """A stretch of the file that one connection fetches; `start` is the first byte that is not here yet."""

    number: int
    start: int
    stop: int


def piece_length(size: int) -> int:
    """Bytes of each piece of a file of `size` bytes."""
    return max(min(MOST, max(LEAST, -(-size // _SHARE))), -(-size // _AT_MOST))


def most_pieces(size: int) -> int:
    """Pieces of a file of `size` bytes, where they are as small as they may be."""
    return min(_AT_MOST, max(1, -(-size // LEAST)))


class Pieces:
    """`have[n]` bytes of piece n are here, from its beginning. Not safe for threads: whoever shares it locks it."""

    def __init__(self, size: int, length: int, have: Sequence[int] = ()) -> None:
        self.size, self.length = size, length
        self.have = list(have) or [0] * max(1, -(-size // length))
        self.held = sum(self.have)
        self._taken: set[int] = set()
        self._first = 0

    def room(self, number: int) -> int:
        """Bytes of a piece, the last one being shorter."""
        return min(self.length, self.size - number * self.length)

    @property
    def complete(self) -> bool:
        """Whether every byte is here."""
        return self.held == self.size

    @property
    def front(self) -> int:
        """Bytes from the beginning of the file without a gap."""
        while self._first < len(self.have) - 1 and self.have[self._first] == self.room(self._first):
            self._first += 1
        return self._first * self.length + self.have[self._first]

    def clear(self) -> None:
        """Nothing is here. Who fetches what stays as it is."""
        self.have, self.held, self._first = [0] * len(self.have), 0, 0

    def take(self) -> Piece | None:
        """The first piece that is not complete and that nobody fetches; None where there is none."""
        for number in range(self._first, len(self.have)):
            if number not in self._taken and self.have[number] < self.room(number):
                self._taken.add(number)
                begin = number * self.length
                return Piece(number, begin + self.have[number], begin + self.room(number))
        return None

    def give_back(self, piece: Piece) -> None:
        """Whoever took it is through with it, whole or not."""
        self._taken.discard(piece.number)

    def add(self, offset: int, count: int) -> int:
        """Note `count` bytes written at `offset`, where a piece has its first gap; returns the piece's number."""
        number = offset // self.length
        self.have[number] += count
        self.held += count
        return number


_WIDTH = 9
"""Digits of a count: a piece has fewer than 10^9 bytes."""
_HEAD = 1024
"""Bytes before the counts, at the most."""


class Journal:
    """The file, open. `etag` and `pieces` are what it says, or nothing where it says nothing that can be true."""

    def __init__(self, path: Path, size: int) -> None:
        self.etag: str | None = None
        self.pieces = Pieces(size, piece_length(size))
        self._file = untrusted.opened(path, os.O_RDWR | os.O_CREAT)
        self._table = 0
        self._read(size)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def restart(self, etag: str | None) -> None:
        """Nothing is here any more; the bytes to come carry `etag`."""
        self.etag = etag
        self.pieces.clear()
        facts = {"etag": etag, "size": self.pieces.size, "length": self.pieces.length}
        head = json.dumps(facts)[:-1] + ', "have": ['
        content = f"{head}{','.join(_count(number) for number in self.pieces.have)}]}}".encode()
        os.ftruncate(self._file, 0)
        _write(self._file, content, 0)
        self._table = len(head)

    def note(self, number: int) -> None:
        """Put down how far a piece has come."""
        _write(self._file, _count(self.pieces.have[number]).encode(), self._table + number * (_WIDTH + 1))

    def _read(self, size: int) -> None:
        # More would count other pieces than the smallest that this file can have.
        content = os.pread(self._file, _HEAD + (_WIDTH + 1) * most_pieces(size), 0)
        try:
            told = json.loads(content)
            etag, length, have = told["etag"], told["length"], told["have"]
            known = told["size"] == size and type(length) is int and LEAST <= length <= max(MOST, piece_length(size))
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        # Whoever can write here must not choose what is sent as a header.
        safe = etag is None or (isinstance(etag, str) and re.fullmatch(r'"[!-~]{0,200}"', etag))
        if not known or not safe or not isinstance(have, list):
            return
        table = content.rfind(b"[") + 1
        empty = Pieces(size, length)
        fixed = len(content) == table + len(empty.have) * (_WIDTH + 1) + 1
        if fixed and len(have) == len(empty.have) and all(_fits(it, empty.room(n)) for n, it in enumerate(have)):
            self.etag, self.pieces, self._table = etag, Pieces(size, length, have), table


def _fits(count: object, room: int) -> bool:
    return type(count) is int and 0 <= count <= room


def _count(number: int) -> str:
    return f"{number:{_WIDTH}}"


def _write(file: int, content: bytes, offset: int) -> None:
    while content:  # what fits is written, the next call says that the disk is full
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written
