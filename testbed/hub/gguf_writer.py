"""Writes GGUF files, version 3: key-values, tensor table, aligned F32 data (ggml/include/gguf.h of llama.cpp)."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 32
"""llama.cpp's default where `general.alignment` is absent."""

U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
"""Value types of gguf.h that the maker uses."""
TENSOR_F32 = 0


@dataclass(frozen=True)
class F32Tensor:
    """One tensor: `shape` as ggml has it (fastest dimension first) and its little-endian float32 bytes."""

    name: str
    shape: tuple[int, ...]
    content: bytes


@dataclass(frozen=True)
class Float:
    """A float32 value; a plain Python int is written as uint32."""

    value: float


Value = int | str | Float | Sequence[str] | Sequence[Float] | Sequence[int]


def gguf(metadata: Mapping[str, Value], tensors: Sequence[F32Tensor]) -> bytes:
    """Return the bytes of a whole GGUF file."""
    head = bytearray(b"GGUF" + struct.pack("<Iqq", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _string(key) + _value(value)
    offset, body = 0, bytearray()
    for tensor in tensors:
        head += _string(tensor.name) + struct.pack(f"<I{len(tensor.shape)}q", len(tensor.shape), *tensor.shape)
        head += struct.pack("<IQ", TENSOR_F32, offset)
        body += _padded(tensor.content)
        offset = len(body)
    return bytes(_padded(bytes(head)) + body)


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT)


def _value(value: Value) -> bytes:
    if isinstance(value, int):
        return struct.pack("<II", U32, value)
    if isinstance(value, Float):
        return struct.pack("<If", F32, value.value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    return _array(value)


def _array(items: Sequence[str] | Sequence[Float] | Sequence[int]) -> bytes:
    first = items[0]
    kind = STRING if isinstance(first, str) else F32 if isinstance(first, Float) else I32
    content = bytearray(struct.pack("<IIQ", ARRAY, kind, len(items)))
    for item in items:
        if isinstance(item, str):
            content += _string(item)
        elif isinstance(item, Float):
            content += struct.pack("<f", item.value)
        else:
            content += struct.pack("<i", item)
    return bytes(content)
