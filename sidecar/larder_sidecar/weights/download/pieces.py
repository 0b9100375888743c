"""Which bytes of a file are here, and which piece of it is to be fetched next."""

from collections.abc import Sequence
from dataclasses import dataclass

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
