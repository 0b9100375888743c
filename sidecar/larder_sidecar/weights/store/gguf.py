"""The header of a GGUF file, checked as an engine would: bounded in time and memory.

A magic number alone passes truncated files, so the tensor table is compared with the file's size, and with the rules of
llama.cpp's own reader (gguf.cpp, gguf_init_from_reader). Limits are far above any published model (largest seen:
256 thousand tokens, 16 MB of header) and bound the cost of a hostile file.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import GgufError
from . import untrusted
from .gguf_reader import UINT32, GgufReader, Scalar

MAX_KEYS, MAX_TENSORS = 65_536, 131_072
MAX_TENSOR_NAME = 63
"""Bytes of a tensor's name: GGML_MAX_NAME of ggml.h without its NUL."""
MAX_ELEMENTS = 2**63 - 1
"""INT64_MAX, which the number of a tensor's elements stays below."""

TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36), 41: ("Q1_0", 128, 18), 42: ("Q2_0", 64, 18),
}  # fmt: skip
"""Name, values of a block and bytes of a block, by type (ggml.h)."""

_Q4 = "Choose the Q4_K_M or Q4_0 file of the repository."
_Q4_0 = "Choose the Q4_0 file of the repository: llama.cpp repacks it for the processor as it loads."
_IQ4_NL = (
    "Choose the IQ4_NL file of the repository: llama.cpp repacks it for the processor as it loads. "
    "Of a BitNet model (i2_s) choose TQ1_0 or TQ2_0."
)
REMOVED_TYPES: dict[int, tuple[str, str]] = {
    4: ("Q4_2", _Q4), 5: ("Q4_3", _Q4), 31: ("Q4_0_4_4", _Q4_0), 32: ("Q4_0_4_8", _Q4_0), 33: ("Q4_0_8_8", _Q4_0),
    36: ("IQ4_NL_4_4, or BitNet's i2_s", _IQ4_NL), 37: ("IQ4_NL_4_8", _IQ4_NL), 38: ("IQ4_NL_8_8", _IQ4_NL),
}  # fmt: skip
"""Name and remedy of types that llama.cpp has removed (ggml.c, type_traits), by type."""

FILE_TYPES: dict[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""Name of the quantization, by `general.file_type` (llama.h)."""

LEGACY_MAGICS: dict[bytes, str] = {b"lmgg": "GGML", b"fmgg": "GGMF", b"tjgg": "GGJT", b"algg": "GGLA (LoRA)"}
"""Name of the format, by the first four bytes of the file; no current engine loads one of these."""


@dataclass(frozen=True)
class GgufInfo:
    """The facts in a header."""

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
    """Minimum size of the file in bytes."""


def check_gguf(path: Path, name: str) -> GgufInfo:
    """Read and check a file, which errors call `name`. Raises GgufError for the file, OSError for the disk."""
    with untrusted.open_file(path) as file:
        try:
            return read_gguf(file, os.fstat(file.fileno()).st_size)
        except GgufError as error:
            raise GgufError(f"{name}: {error.reason}", error.remedy) from None


def read_gguf(file: BinaryIO, size: int) -> GgufInfo:
    """Check the header of `file`, positioned at 0, against `size` bytes. Raises GgufError only."""
    reader = GgufReader(file, size)
    version, tensors, keys = _prologue(reader)
    metadata = _metadata(reader, keys)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1) or alignment > 2**30:
        raise GgufError(f"GGUF: general.alignment {alignment!r} is not a power of two")
    parameters, end = _tensor_table(reader, tensors, alignment)
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise GgufError("GGUF: general.architecture is missing, so no engine knows how to run it")
    data_end = _pad(reader.offset, alignment) + end if tensors else reader.offset
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


def _prologue(reader: GgufReader) -> tuple[int, int, int]:
    magic = reader.take(4, "the magic number")
    if magic in LEGACY_MAGICS:
        raise GgufError(
            f"the file has the legacy format {LEGACY_MAGICS[magic]}, which current engines do not load",
            "Choose a GGUF file, or convert it with llama.cpp's convert_llama_ggml_to_gguf.py.",
        )
    if magic != b"GGUF":
        raise GgufError(f"the file is not GGUF: it starts with the bytes {magic.hex()}, not 47475546")
    version = reader.number("I", "the version")
    if version and version & 0xFFFF == 0:
        raise GgufError(
            "GGUF: the file is big-endian; engines here read little-endian files",
            "Choose a little-endian file, or convert it with llama.cpp's gguf_convert_endian.py.",
        )
    if version not in (2, 3):
        raise GgufError(f"GGUF: version {version} is not supported; engines load 2 and 3")
    tensors = reader.length("number of tensors", MAX_TENSORS)
    return version, tensors, reader.length("number of keys", MAX_KEYS)


def _metadata(reader: GgufReader, keys: int) -> dict[str, Scalar | None]:
    metadata: dict[str, Scalar | None] = {}
    for number in range(keys):
        key = reader.name("a key").decode("utf-8", "surrogateescape")
        if not key:
            raise GgufError(f"GGUF: key {number} has no name")
        if key in metadata:
            raise GgufError(f"GGUF: the key {key[:80]!r} comes twice")
        kind = reader.number("I", "a value type")
        if key == "general.alignment" and kind != UINT32:
            raise GgufError(f"GGUF: {key} has the value type {kind}, not uint32")
        metadata[key] = reader.value(kind, key[:80])
    return metadata


def _tensor_table(reader: GgufReader, tensors: int, alignment: int) -> tuple[int, int]:
    """Check the table of tensors; return the number of weights, and the end of the tensors after the data's start."""
    parameters = end = least = 0
    exact = True
    """True while the next tensor must begin at `least`; after a tensor of an unknown type it may begin later."""
    names: set[bytes] = set()
    for _ in range(tensors):
        name = _tensor_name(reader, names)
        shape = _shape(reader, name)
        kind, offset = reader.number("i", name), reader.number("Q", name)
        block, block_bytes = _block(kind, name)
        if (row := shape[0] if shape else 1) % block:
            raise GgufError(f"GGUF: rows of tensor {name!r} have {row} values, not a multiple of its block of {block}")
        count = math.prod(shape)
        # gguf.cpp: each tensor begins where the one before it ends, padded to the alignment.
        if offset != least and (exact or offset < least or offset % alignment):
            raise GgufError(f"GGUF: the data of tensor {name!r} starts at {offset}, not at {least}")
        parameters += count
        end = offset + count // block * block_bytes
        exact = block_bytes > 0
        least = _pad(end if exact else end + 1, alignment)
    return parameters, end


def _tensor_name(reader: GgufReader, names: set[bytes]) -> str:
    """Read the next tensor's name, and add it to `names`."""
    raw = reader.name("a tensor name")
    name = raw.decode("utf-8", "replace")[:80]
    if len(raw) > MAX_TENSOR_NAME:
        raise GgufError(f"GGUF: tensor name {name!r} has {len(raw)} bytes, at most {MAX_TENSOR_NAME} are allowed")
    # gguf.cpp compares them by strcmp, which ends at a NUL.
    if (compared := raw.partition(b"\0")[0]) in names:
        raise GgufError(f"GGUF: tensor {name!r} comes twice")
    names.add(compared)
    return name


def _shape(reader: GgufReader, name: str) -> list[int]:
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
    """Return values and bytes of a block; (1, 0) for a type newer than our table: the engine may know it."""
    if kind in REMOVED_TYPES:
        removed, instead = REMOVED_TYPES[kind]
        raise GgufError(f"GGUF: tensor {name!r} has the type {kind} ({removed}), which llama.cpp has removed", instead)
    if kind < 0:
        raise GgufError(f"GGUF: tensor {name!r} has the type {kind}")
    _, block, block_bytes = TENSOR_TYPES.get(kind, ("?", 1, 0))
    return block, block_bytes


def _pad(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment
