"""The check accepts what engines load, names what they do not, and survives anything."""

import contextlib
import io
import struct
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from larder_sidecar.weights.errors import GgufError
from larder_sidecar.weights.gguf import MAX_STRINGS, GgufInfo, read_gguf

from testbed.hub.gguf_writer import F32Tensor, gguf
from testbed.hub.tiny_model import tiny_model

TINY = b"".join(tiny_model())


def check(content: bytes) -> GgufInfo:
    return read_gguf(io.BytesIO(content), len(content))


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def head(*pairs: bytes, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<Iqq", version, tensors, len(pairs)) + b"".join(pairs)


ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("llama")


def tensor(*shape: int, name: str = "t", kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}qIQ", len(shape), *shape, kind, offset)


def one(table: bytes, data: int = 64) -> bytes:
    """A file with one tensor and so many bytes of data."""
    content = b"GGUF" + struct.pack("<Iqq", 3, 1, 1) + ARCHITECTURE + table
    return content + bytes(-len(content) % 32 + data)


def test_a_good_file_tells_what_it_is() -> None:
    info = check(TINY)
    assert (info.architecture, info.kind, info.file_type) == ("llama", "model", "F32")
    assert (info.context_length, info.chat_template, info.version) == (2048, True, 3)
    assert info.parameters * 4 < info.data_end <= len(TINY)


def test_a_file_without_chat_template_says_so() -> None:
    assert not check(gguf({"general.architecture": "llama"}, [])).chat_template


def test_a_quantized_tensor_is_measured_in_blocks() -> None:
    assert check(one(tensor(256, 2, kind=12), data=288)).parameters == 512
    with pytest.raises(GgufError, match="truncated"):
        check(one(tensor(256, 2, kind=12), data=287))


BAD = {
    "empty": (b"", "magic number"),
    "HTML": (b"<!doctype html><html>", "3c21646f"),
    "legacy GGML": (b"lmgg" + bytes(60), "legacy GGML,"),
    "legacy GGJT": (b"tjgg" + bytes(60), "legacy GGJT"),
    "big endian": (b"GGUF" + struct.pack(">Iqq", 3, 0, 0), "big-endian"),
    "version 1": (head(version=1), "version 1 "),
    "version 4": (head(version=4), "version 4 "),
    "half a file": (TINY[: len(TINY) // 2], "truncated"),
    "one byte short": (TINY[:-1], "truncated"),
    "cut in the header": (TINY[:200], "runs past the end"),
    "no architecture": (gguf({"general.name": "x"}, []), "general.architecture"),
    "key twice": (head(ARCHITECTURE, ARCHITECTURE), "comes twice"),
    "unknown value type": (head(text("k") + struct.pack("<I", 99)), "value type 99"),
    "nested array": (head(text("k") + struct.pack("<IIQ", 9, 9, 1)), "nested"),
    "absurd counts": (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**63), "over the limit"),
    "absurd string": (head(struct.pack("<Q", 2**62)), "over the limit"),
    "too many strings": (head(text("k") + struct.pack("<IIQ", 9, 8, MAX_STRINGS + 1)), "over the limit"),
    "array past the end": (head(text("k") + struct.pack("<IIQ", 9, 4, 2**20)), "runs past"),
    "odd alignment": (gguf({"general.architecture": "llama", "general.alignment": 48}, []), "power of two"),
    "five dimensions": (one(tensor(1, 1, 1, 1, 1)), "5 dimensions"),
    "negative extent": (one(tensor(-4)), "extent -4"),
    "misaligned tensor": (one(tensor(4, offset=16)), "not aligned"),
    "half a block": (one(tensor(100, kind=12)), "block of 256"),
    "tensor beyond the data": (one(tensor(17)), "truncated"),
    "overflowing tensor": (one(tensor(2**62, 2**62)), "truncated"),
}


@pytest.mark.parametrize(("content", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_named(content: bytes, says: str) -> None:
    with pytest.raises(GgufError, match=says):
        check(content)


def survives(content: bytes) -> None:
    began = time.monotonic()
    with contextlib.suppress(GgufError):
        check(content)
    assert time.monotonic() - began < 5


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_noise_after_the_magic_raises_nothing_else(noise: bytes) -> None:
    survives(b"GGUF\3\0\0\0" + noise)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 9000), st.binary(min_size=1, max_size=12), st.integers(0, len(TINY)))
def test_a_damaged_model_raises_nothing_else(place: int, damage: bytes, cut: int) -> None:
    survives((TINY[:place] + damage + TINY[place + len(damage) :])[: max(cut, place + 20)])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 64))
def test_a_file_is_good_exactly_up_to_its_last_tensor(shape: list[int], missing: int) -> None:
    count = 1
    for extent in shape:
        count *= extent
    content = gguf({"general.architecture": "llama"}, [F32Tensor("t", tuple(shape), bytes(4 * count))])
    end = check(content).data_end
    assert check(content[:end]).parameters == count
    with pytest.raises(GgufError):
        check(content[: end - min(missing, 4 * count)])
