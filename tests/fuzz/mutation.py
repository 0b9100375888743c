"""Mutation of seeds: cut, repeated, joined, nested and changed; the same number gives the same inputs."""

import random
from collections.abc import Sequence

ODD: Sequence[bytes] = (
    *(
        b"\0",
        b"\r\n",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b'"',
        b"'",
        b"\\",
        b"/",
        b":",
        b",",
        b";",
        b"=",
        b"%00",
        b"%",
        b"@",
        b"#",
    ),
    *(b"{", b"}", b"[", b"]", b"(", b")", b"<", b"&a", b"*a", b"-", b"+", b".", b"..", b"~", b"*", b"?", b"|", b"!"),
    *(
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"9" * 20,
        b"4294967296",
        b"18446744073709551616",
        b"1:59:59",
        b"0x7f",
        b"true",
        b"null",
    ),
    *(b"\xff", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", "é語😀".encode(), "\u2028\u212a\u017f".encode()),
    *(rb"\u0000", rb"\ud800", rb"\u006d", b'\\"', b"\\\\"),
)


def mutated(chance: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Return one of the seeds after a few changes."""
    text = chance.choice(seeds)
    for _ in range(1 + chance.getrandbits(3) % 6):
        text = chance.choice(_CHANGES)(chance, text, seeds, tokens)
    return text


def _insert(chance: random.Random, text: bytes, _: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(tokens if tokens and chance.getrandbits(1) else ODD) + text[at:]


def _overwrite(chance: random.Random, text: bytes, _: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    new = chance.choice(tokens if tokens and chance.getrandbits(1) else ODD)
    at = chance.randrange(len(text) + 1)
    return text[:at] + new + text[at + len(new) :]


def _change_byte(chance: random.Random, text: bytes, *_: object) -> bytes:
    if not text:
        return text
    at = chance.randrange(len(text))
    return text[:at] + bytes((chance.getrandbits(8),)) + text[at + 1 :]


def _range(chance: random.Random, text: bytes) -> tuple[int, int]:
    start = chance.randrange(len(text) + 1)
    return start, min(len(text), start + (1 << chance.randrange(8)))


def _delete(chance: random.Random, text: bytes, *_: object) -> bytes:
    start, end = _range(chance, text)
    return text[:start] + text[end:]


def _repeat(chance: random.Random, text: bytes, *_: object) -> bytes:
    start, end = _range(chance, text)
    return text[:end] + text[start:end] * (1 << chance.randrange(7)) + text[end:]


def _nest(chance: random.Random, text: bytes, *_: object) -> bytes:
    start, end = _range(chance, text)
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'"', b'"'), (b"(", b")"), (b"- ", b"")))
    times = 1 << chance.randrange(9)
    return text[:start] + opening * times + text[start:end] + closing * times + text[end:]


def _cut(chance: random.Random, text: bytes, *_: object) -> bytes:
    return text[: chance.randrange(len(text) + 1)]


def _join(chance: random.Random, text: bytes, seeds: Sequence[bytes], _: Sequence[bytes]) -> bytes:
    other = chance.choice(seeds)
    return text[: chance.randrange(len(text) + 1)] + other[chance.randrange(len(other) + 1) :]


def _swap_case(chance: random.Random, text: bytes, *_: object) -> bytes:
    start, end = _range(chance, text)
    return text[:start] + text[start:end].swapcase() + text[end:]


_CHANGES = (_insert, _insert, _overwrite, _change_byte, _delete, _repeat, _nest, _cut, _join, _swap_case)
