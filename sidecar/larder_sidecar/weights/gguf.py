"""Reads a GGUF file's header and tells whether an engine could load the file: bounded in time and memory.

A magic number alone passes truncated files, so the tensor table is held against the file's size. Caps are far above
any published model (largest seen: 256 thousand tokens, 16 MB of header) and keep a hostile file from costing more.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from . import untrusted
from .errors import GgufError
from .gguf_types import FILE_TYPES, LEGACY_MAGICS, TENSOR_TYPES

MAX_KEYS, MAX_TENSORS = 65_536, 131_072
MAX_HEADER = 256 * 2**20
MAX_STRING = 16 * 2**20
MAX_NAME = 1024
"""Length of a key or tensor name; ggml's own tensor names end at 64."""
KEPT = 256
"""Bytes of a string value that are kept: enough for a name, and to see that there is a chat template."""
MAX_STRINGS = 2_000_000
"""Strings in arrays, counted over the whole file: tokens and merges of one vocabulary."""

_STRING, _ARRAY, _BOOL = 8, 9, 7
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


def check_gguf(path: Path) -> GgufInfo:
    """Read and check a file. Raises GgufError for whatever is wrong with it, OSError for the disk."""
    with untrusted.content(path) as file:
        return read_gguf(file, os.fstat(file.fileno()).st_size)


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
    data_end = -(-reader.offset // alignment) * alignment + end if tensors else reader.offset
    if data_end > size:
        raise GgufError(f"GGUF: tensors end at byte {data_end}, the file has {size}: truncated or corrupted")
    context, file_type = metadata.get(f"{architecture}.context_length"), metadata.get("general.file_type")
    splits = metadata.get("split.count", 1)
    return GgufInfo(
        version=version,
        architecture=architecture,
        kind=str(metadata.get("general.type", "model")),
        file_type=FILE_TYPES.get(file_type, "unknown") if isinstance(file_type, int) else "unknown",
        context_length=context if isinstance(context, int) else None,
        chat_template=bool(metadata.get("tokenizer.chat_template")),
        splits=splits if isinstance(splits, int) else 1,
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

    def name(self, what: str) -> str:
        return self.take(self.length(f"length of {what}", MAX_NAME), what).decode("utf-8", "replace")

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
    if version & 0xFFFF == 0:
        raise GgufError("GGUF: big-endian file; engines here read little-endian ones")
    if version not in (2, 3):
        raise GgufError(f"GGUF: version {version} is not 2 or 3")
    tensors = reader.length("number of tensors", MAX_TENSORS)
    return version, tensors, reader.length("number of keys", MAX_KEYS)


def _metadata(reader: _Reader, keys: int) -> dict[str, Scalar | None]:
    metadata: dict[str, Scalar | None] = {}
    for _ in range(keys):
        key = reader.name("a key")
        if key in metadata:
            raise GgufError(f"GGUF: the key {key[:80]!r} comes twice")
        metadata[key] = reader.value(reader.number("I", "a value type"), key[:80])
    return metadata


def _tensor_table(reader: _Reader, tensors: int, alignment: int) -> tuple[int, int]:
    """Number of weights, and where the last tensor ends, counted from the start of the data."""
    parameters = end = 0
    for _ in range(tensors):
        name = reader.name("a tensor name")[:80]
        dimensions = reader.number("I", name)
        if dimensions > 4:
            raise GgufError(f"GGUF: tensor {name!r} has {dimensions} dimensions, at most 4 are allowed")
        shape = [reader.number("q", name) for _ in range(dimensions)]
        kind, offset = reader.number("I", name), reader.number("Q", name)
        count = 1
        for extent in shape:
            if extent < 1:
                raise GgufError(f"GGUF: tensor {name!r} has the extent {extent}")
            count *= extent
        if offset % alignment:
            raise GgufError(f"GGUF: tensor {name!r} starts at {offset}, which is not aligned to {alignment}")
        # A type newer than this table may be fine for the engine; all we can tell is where it starts.
        _, block, block_bytes = TENSOR_TYPES.get(kind, ("?", 1, 0))
        if shape and shape[0] % block:
            raise GgufError(f"GGUF: rows of tensor {name!r} are {shape[0]} long, no multiple of its block of {block}")
        parameters += count
        end = max(end, offset + count // block * block_bytes)
    return parameters, end
