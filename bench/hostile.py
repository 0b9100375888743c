"""Bodies that are the slowest to read for their size: each has a shape on which some parser is slow.

Used by the bench and by tests. All are at most as long as the default `limits.body_bytes`.
"""

from collections.abc import Iterator

MIB = 2**20
LONGEST = 32 * MIB


def bodies(size: int = LONGEST) -> Iterator[tuple[str, bytes]]:
    """Return name and bytes of each, cut to about `size`."""
    for name in _SHAPES:
        yield name, body(name, size)
    half = size // 2 - 50
    yield "nested lists", b'{"a":' + b"[" * half + b"]" * half + b',"model":"m"}'
    yield "model, nested", b'{"model":' + b"[" * half + b"]" * half + b"}"
    yield "nested objects", b'{"a":' * (size // 6) + b"0" + b"}" * (size // 6)
    yield "a key of megabytes", b'{"' + b"a" * (2 * half) + b'":0,"model":"m"}'
    yield "an escaped key of megabytes", b'{"' + rb"\u0061" * (half // 3) + b'":0,"model":"m"}'
    yield "a name of megabytes", b'{"model":"' + b"m" * (2 * half) + b'"}'
    yield "a number of megabytes", b'{"model":' + b"1" * (2 * half) + b"}"
    yield "options of megabytes", b'{"model":"tiny","options":' + b"[" * half + b"]" * half + b"}"
    yield "blanks before the value", b'{"model":' + b" " * (2 * half) + b'"m"}'
    yield "blanks at the end", b'{"model":"m"}' + b" " * (2 * half)
    yield "blanks at the beginning", b" " * (2 * half) + b'{"model":"m"}'


def body(name: str, size: int = LONGEST) -> bytes:
    """Return a body that repeats a part."""
    head, part, tail = _SHAPES[name]
    return head + part * max((size - len(head) - len(tail)) // len(part), 1) + tail


_SHAPES = {
    "lists that stay open": (b'{"a":', b"[", b""),
    "objects that stay open": (b"", b'{"a":', b""),
    "empty lists": (b'{"a":[', b"[],", b"0]}"),
    "members without a name": (b"{", b'"":0,', b'"model":"m"}'),
    "members with empty objects": (b"{", b'"":{},', b'"model":"m"}'),
    "members with escapes": (b"{", rb'"\u0061":0,', b'"model":"m"}'),
    "members with escapes of ten letters": (b"{", b'"' + rb"\u0061" * 10 + b'":0,', b'"model":"m"}'),
    "almost the name": (b"{", b'"modeX":0,', b'"model":"m"}'),
    "almost the name, escaped": (b"{", b'"mode\\u006b":0,', b'"model":"m"}'),
    "the name, deep": (b'{"a":[', b'{"model":0},', b"0]}"),
    "the name, deep and open": (b'{"a":', b'{"model":', b""),
    "the name as a value": (b'{"a":[', b'"model",', b'0],"model":"m"}'),
    "the name, blanks": (b'{"a":[', b'"model"' + b" " * 60_000 + b",", b"0]}"),
    "flat, then open": (b'{"x":[', b"{" + b'"",' * 31, b"]}"),
    "long strings, then open": (b'{"x":[', b"{" + (b'"' + b"a" * 990 + b'",') * 30, b"]}"),
    "empty strings": (b'{"a":[', b'""', b"0]}"),
    "short strings": (b'{"a":[', b'"a",', b'0],"model":"m"}'),
    "commas": (b'{"a":[', b",", b"0]}"),
    "numbers": (b'{"input":[', b"1,", b'0],"model":"m"}'),
    "numbers of many digits": (b'{"input":[', b"1" * 5000 + b",", b'0],"model":"m"}'),
    "backslashes": (b'{"a":"', rb"\\", b'"}'),
    "a backslash before the end": (b'{"a":"' + b"a" * 70_000, rb"\\", rb"\""),
    "escaped quotes": (b'{"a":"', rb"\"", b'","model":"m"}'),
    "escaped letters": (b'{"a":"', rb"\u0061", b'","model":"m"}'),
    "halves of surrogates": (b'{"messages":[{"role":"user","content":"', rb"\ud800", b'"}]}'),
    "no text": (b'{"messages":[{"role":"user","content":"', b"\xff", b'"}]}'),
    "other scripts": (b'{"messages":[{"role":"user","content":"', "語".encode(), b'"}]}'),
    "messages": (b'{"messages":[', b'{"role":"user","content":"hi"},', b'{"role":"user","content":"hi"}]}'),
    "parts": (
        b'{"messages":[{"role":"user","content":[',
        b'{"type":"text","text":"a"},',
        b'{"type":"text","text":"a"}]}]}',
    ),
    "blanks between": (b"{", b'"a":0' + b" " * 1000 + b",", b'"model":"m"}'),
}
