"""Reads a GGUF file's header and tells whether an engine could load the file: bounded in time and memory.

A magic number alone passes truncated files, so the tensor table is held against the file's size, and against what
llama.cpp's own reader refuses (gguf.cpp, gguf_init_from_reader). Caps are far above any published model (largest seen:
256 thousand tokens, 16 MB of header) and keep a hostile file from costing more.
"""

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import GgufError
from . import untrusted
from .gguf_types import FILE_TYPES, LEGACY_MAGICS, REMOVED_TYPES, TENSOR_TYPES

MAX_KEYS, MAX_TENSORS = 65_536, 131_072
MAX_HEADER = 256 * 2**20
MAX_STRING = 16 * 2**20
MAX_NAME = 1024
"""Bytes of a key or tensor name that is read."""
MAX_TENSOR_NAME = 63
"""Bytes of a tensor's name: GGML_MAX_NAME of ggml.h without its NUL."""
MAX_ELEMENTS = 2**63 - 1
"""INT64_MAX, which the number of a tensor's elements stays below."""
KEPT = 256
"""Bytes of a string value that are kept: enough for a name, and to see that there is a chat template."""
MAX_STRINGS = 2_000_000
"""Strings in arrays, counted over the whole file: tokens and merges of one vocabulary."""

_UINT32, _BOOL, _STRING, _ARRAY = 4, 7, 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}

Scalar = int | float | bool | str


@dataclass(frozen=True)
class GgufInfo:
    """What the header says."""

    version: int
    architecture: str
    kind: str
    """`general.type`: model, adapter, mmproj …"""
    file_type: str
    """Name of the quantization, or `unknown`."""
    context_length: int | None
    chat_template: bool
    splits: int
    """Files that the model is split into; 1 for most."""
    tensors: int
    parameters: int
    data_end: int
    """Bytes the file must have at least."""


def check_gguf(path: Path, name: str) -> GgufInfo:
    """Read and check a file, which errors call `name`. Raises GgufError for whatever is wrong, OSError for the disk."""
    with untrusted.content(path) as file:
        try:
            return read_gguf(file, os.fstat(file.fileno()).st_size)
        except GgufError as error:
            raise GgufError(f"{name}: {error.reason}", error.remedy) from None


def read_gguf(file: BinaryIO, size: int) -> GgufInfo:
    """Check the header of `file`, positioned at 0, against `size` bytes. Raises GgufError only."""
    reader = _Reader(file, size)
    version, tensors, keys = _prologue(reader)
    metadata = _metadata(reader, keys)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1) or alignment > 2**30:
        raise GgufError(f"GGUF: general.alignment {alignment!r} is no power of two")
    parameters, end = _tensor_table(reader, tensors, alignment)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise GgufError("GGUF: general.architecture is missing, so no engine knows how to run it")
    data_end = _padded(reader.offset, alignment) + end if tensors else reader.offset
    if data_end > size:
        raise GgufError(f"GGUF: tensors end at byte {data_end}, the file has {size}: truncated or corrupted")
    context, file_type = metadata.get(f"{architecture}.context_length"), metadata.get("general.file_type")
    splits, kind = metadata.get("split.count"), metadata.get("general.type")
    return GgufInfo(
        version=version,
        architecture=architecture,
        kind=kind if isinstance(kind, str) else "model",
        file_type=FILE_TYPES.get(file_type, "unknown") if isinstance(file_type, int) else "unknown",
        context_length=context if isinstance(context, int) else None,
        chat_template=bool(metadata.get("tokenizer.chat_template")),
        splits=splits if isinstance(splits, int) and splits > 0 else 1,
        tensors=tensors,
        parameters=parameters,
        data_end=data_end,
    )


class _Reader:
    """A file read forward, never past its end nor past MAX_HEADER."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._limit, self._size = file, min(size, MAX_HEADER), size
        self.offset, self.strings = 0, 0

    def _claim(self, count: int, what: str) -> None:
        if self.offset + count > self._limit:
            where = "the end of the file" if self._limit == self._size else f"the header's limit of {MAX_HEADER} bytes"
            raise GgufError(f"GGUF: {what} at byte {self.offset} runs past {where}")
        self.offset += count

    def take(self, count: int, what: str) -> bytes:
        self._claim(count, what)
        content = self._file.read(count)
        if len(content) != count:
            raise GgufError(f"GGUF: the file ended while reading {what}")
        return content

    def skip(self, count: int, what: str) -> None:
        self._claim(count, what)
        self._file.seek(count, 1)

    def number(self, code: str, what: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}"), what))[0])

    def length(self, what: str, cap: int) -> int:
        count = self.number("Q", what)
        if count > cap:
            raise GgufError(f"GGUF: {what} of {count} is over the limit of {cap}")
        return count

    def name(self, what: str) -> bytes:
        return self.take(self.length(f"length of {what}", MAX_NAME), what)

    def value(self, kind: int, key: str) -> Scalar | None:
        """A scalar; an array is passed over and is None."""
        if kind == _STRING:
            return self._start_of_text(key)
        if kind == _ARRAY:
            self._pass_array(key)
            return None
        if kind not in _SCALARS:
            raise GgufError(f"GGUF: {key} has the unknown value type {kind}")
        code = f"<{_SCALARS[kind]}"
        value: int | float = struct.unpack(code, self.take(struct.calcsize(code), key))[0]
        return bool(value) if kind == _BOOL else value

    def _start_of_text(self, key: str) -> str:
        length = self.length(f"length of {key}", MAX_STRING)
        start = self.take(min(length, KEPT), key)
        self.skip(length - len(start), key)
        return start.decode("utf-8", "replace")

    def _pass_array(self, key: str) -> None:
        kind, count = self.number("I", key), self.length(f"array {key}", MAX_HEADER)
        if kind in _SCALARS:
            self.skip(count * struct.calcsize(f"<{_SCALARS[kind]}"), key)
        elif kind == _STRING:
            self.strings += count
            if self.strings > MAX_STRINGS:
                raise GgufError(f"GGUF: {key} brings the strings in arrays over the limit of {MAX_STRINGS}")
            what = f"string of {key}"
            for _ in range(count):
                self.skip(self.length(what, MAX_STRING), what)
        else:
            raise GgufError(f"GGUF: {key} is an array of the unknown or nested type {kind}")


def _prologue(reader: _Reader) -> tuple[int, int, int]:
    magic = reader.take(4, "the magic number")
    if magic in LEGACY_MAGICS:
        raise GgufError(
            f"the file is legacy {LEGACY_MAGICS[magic]}, which no engine loads any more",
            "Choose a GGUF file, or convert it with llama.cpp's convert_llama_ggml_to_gguf.py.",
        )
    if magic != b"GGUF":
        raise GgufError(f"no GGUF file: it starts with the bytes {magic.hex()} instead of 47475546")
    version = reader.number("I", "the version")
    if version and version & 0xFFFF == 0:
        raise GgufError(
            "GGUF: big-endian file; engines here read little-endian ones",
            "Choose a little-endian file, or convert it with llama.cpp's gguf_convert_endian.py.",
        )
    if version not in (2, 3):
        raise GgufError(f"GGUF: version {version} is not 2 or 3, which engines load")
    tensors = reader.length("number of tensors", MAX_TENSORS)
    return version, tensors, reader.length("number of keys", MAX_KEYS)


def _metadata(reader: _Reader, keys: int) -> dict[str, Scalar | None]:
    metadata: dict[str, Scalar | None] = {}
    for number in range(keys):
        key = reader.name("a key").decode("utf-8", "surrogateescape")
        if not key:
            raise GgufError(f"GGUF: key {number} is without a name")
        if key in metadata:
            raise GgufError(f"GGUF: the key {key[:80]!r} comes twice")
        kind = reader.number("I", "a value type")
        if key == "general.alignment" and kind != _UINT32:
            raise GgufError(f"GGUF: {key} must be a uint32, and has the value type {kind}")
        metadata[key] = reader.value(kind, key[:80])
    return metadata


def _tensor_table(reader: _Reader, tensors: int, alignment: int) -> tuple[int, int]:
    """Number of weights, and where the last tensor ends, counted from the start of the data."""
    parameters = end = least = 0
    exact = True
    """True while the next tensor must begin at `least`; behind one of a type that we do not know it may begin later."""
    names: set[bytes] = set()
    for _ in range(tensors):
        name = _tensor_name(reader, names)
        shape = _shape(reader, name)
        kind, offset = reader.number("i", name), reader.number("Q", name)
        block, block_bytes = _block(kind, name)
        if (row := shape[0] if shape else 1) % block:
            raise GgufError(f"GGUF: rows of tensor {name!r} are {row} long, no multiple of its block of {block}")
        count = math.prod(shape)
        # gguf.cpp: each tensor begins where the one before it ends, padded to the alignment.
        if offset != least and (exact or offset < least or offset % alignment):
            raise GgufError(f"GGUF: the data of tensor {name!r} starts at {offset}, not at {least}")
        parameters += count
        end = offset + count // block * block_bytes
        exact = block_bytes > 0
        least = _padded(end if exact else end + 1, alignment)
    return parameters, end


def _tensor_name(reader: _Reader, names: set[bytes]) -> str:
    """The next tensor's name, which becomes one of `names`."""
    raw = reader.name("a tensor name")
    name = raw.decode("utf-8", "replace")[:80]
    if len(raw) > MAX_TENSOR_NAME:
        raise GgufError(f"GGUF: tensor name {name!r} has {len(raw)} bytes, at most {MAX_TENSOR_NAME} are allowed")
    # gguf.cpp compares them by strcmp, which ends at a NUL.
    if (compared := raw.partition(b"\0")[0]) in names:
        raise GgufError(f"GGUF: tensor {name!r} comes twice")
    names.add(compared)
    return name


def _shape(reader: _Reader, name: str) -> list[int]:
    dimensions = reader.number("I", name)
    if dimensions > 4:
        raise GgufError(f"GGUF: tensor {name!r} has {dimensions} dimensions, at most 4 are allowed")
    shape = [reader.number("q", name) for _ in range(dimensions)]
    elements = 1
    for extent in shape:
        if extent < 1:
            raise GgufError(f"GGUF: tensor {name!r} has the extent {extent}")
        elements *= extent
        if elements >= MAX_ELEMENTS:
            raise GgufError(f"GGUF: tensor {name!r} has 2^63 elements or more")
    return shape


def _block(kind: int, name: str) -> tuple[int, int]:
    """Values and bytes of a block; (1, 0) for a type newer than our table: the engine may know it."""
    if kind in REMOVED_TYPES:
        removed, instead = REMOVED_TYPES[kind]
        raise GgufError(f"GGUF: tensor {name!r} has the type {kind} ({removed}), which llama.cpp has removed", instead)
    if kind < 0:
        raise GgufError(f"GGUF: tensor {name!r} has the type {kind}")
    _, block, block_bytes = TENSOR_TYPES.get(kind, ("?", 1, 0))
    return block, block_bytes


def _padded(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
