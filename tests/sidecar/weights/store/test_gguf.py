"""The check accepts what engines load, names what they do not, and survives anything."""

import contextlib
import io
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.errors import GgufError
from larder_sidecar.weights.store.gguf import MAX_KEYS, GgufInfo, read_gguf
from larder_sidecar.weights.store.gguf_reader import MAX_STRINGS

from testbed.hub.gguf_writer import F32Tensor, gguf
from testbed.hub.tiny_model import tiny_model
from tests.examples import up_to

TINY = b"".join(tiny_model())


def check(content: bytes) -> GgufInfo:
    return read_gguf(io.BytesIO(content), len(content))


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def head(*pairs: bytes, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<Iqq", version, tensors, len(pairs)) + b"".join(pairs)


ALIGNMENT = text("general.alignment")
REMOVED = (4, 5, 31, 32, 33, 36, 37, 38)
ARCHITECTURE = text("general.architecture") + struct.pack("<I", 8) + text("llama")


def tensor(*shape: int, name: str = "t", kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}qIQ", len(shape), *shape, kind, offset)


def many(*tables: bytes, data: int = 64) -> bytes:
    """A file with tensors and so many bytes of data."""
    content = b"GGUF" + struct.pack("<Iqq", 3, len(tables), 1) + ARCHITECTURE + b"".join(tables)
    return content + bytes(-len(content) % 32 + data)


def one(table: bytes, data: int = 64) -> bytes:
    return many(table, data=data)


def test_a_good_file_tells_what_it_is() -> None:
    info = check(TINY)
    assert (info.architecture, info.kind, info.file_type) == ("llama", "model", "F32")
    assert (info.context_length, info.chat_template, info.version) == (2048, True, 3)
    assert info.parameters * 4 < info.data_end <= len(TINY)


def test_a_file_without_chat_template_says_so() -> None:
    assert not check(gguf({"general.architecture": "llama"}, [])).chat_template


@pytest.mark.parametrize("value", [0, [1], "x"])
def test_a_file_that_says_nothing_of_use_about_its_parts_is_one_model(value: int | list[int] | str) -> None:
    info = check(gguf({"general.architecture": "llama", "split.count": value, "general.type": 7}, []))
    assert (info.splits, info.kind) == (1, "model")


def test_a_quantized_tensor_is_measured_in_blocks() -> None:
    assert check(one(tensor(256, 2, kind=12), data=288)).parameters == 512
    with pytest.raises(GgufError, match="truncated"):
        check(one(tensor(256, 2, kind=12), data=287))


@pytest.mark.parametrize("kind", [43, 99, 142, 2**31 - 1])
def test_a_type_that_is_newer_than_we_are_is_for_the_engine_to_judge(kind: int) -> None:
    assert check(many(tensor(4, kind=kind), tensor(4, name="u", offset=32), data=128)).tensors == 2


SIZES = {0: 1024, 2: 144, 8: 272, 12: 144, 30: 512, 39: 136, 40: 144, 41: 36, 42: 72}
"""Bytes of 256 values, ggml-common.h."""


@pytest.mark.parametrize("kind", SIZES)
def test_every_type_has_the_size_that_llama_cpp_gives_it(kind: int) -> None:
    assert check(one(tensor(256, kind=kind), data=SIZES[kind])).parameters == 256
    with pytest.raises(GgufError, match="truncated"):
        check(one(tensor(256, kind=kind), data=SIZES[kind] - 1))


@pytest.mark.parametrize(("kind", "instead"), [(4, "Q4_K_M"), (33, "Q4_0"), (36, "IQ4_NL"), (36, "TQ2_0")])
def test_what_to_take_in_place_of_a_removed_type_is_said(kind: int, instead: str) -> None:
    with pytest.raises(GgufError) as refused:
        check(one(tensor(256, kind=kind)))
    assert instead in refused.value.remedy


def test_names_that_differ_in_bytes_that_are_no_text_are_two_keys() -> None:
    pairs = (struct.pack("<Q", 1) + byte + struct.pack("<II", 4, 1) for byte in (b"\xff", b"\xfe"))
    assert check(head(ARCHITECTURE, *pairs)).architecture == "llama"


BAD = {
    "empty": (b"", "magic number"),
    "HTML": (b"<!doctype html><html>", "3c21646f"),
    "legacy GGML": (b"lmgg" + bytes(60), "legacy format GGML,"),
    "legacy format GGJT": (b"tjgg" + bytes(60), "legacy format GGJT"),
    "big endian": (b"GGUF" + struct.pack(">Iqq", 3, 0, 0), "big-endian"),
    "version 0": (head(version=0), "version 0 "),
    "version 1": (head(version=1), "version 1 "),
    "version 4": (head(version=4), "version 4 "),
    "half a file": (TINY[: len(TINY) // 2], "truncated"),
    "one byte short": (TINY[:-1], "truncated"),
    "cut in the header": (TINY[:200], "runs past the end"),
    "no architecture": (gguf({"general.name": "x"}, []), "general.architecture"),
    "architecture that is no text": (head(text("general.architecture") + struct.pack("<II", 4, 7)), "architecture"),
    "key twice": (head(ARCHITECTURE, ARCHITECTURE), "comes twice"),
    "key without a name": (head(text("") + struct.pack("<II", 4, 7)), "has no name"),
    "value type that is negative": (head(text("k") + struct.pack("<i", -1)), "value type"),
    "unknown value type": (head(text("k") + struct.pack("<I", 99)), "value type 99"),
    "nested array": (head(text("k") + struct.pack("<IIQ", 9, 9, 1)), "nested"),
    "absurd counts": (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 2**63), "over the limit"),
    "absurd string": (head(struct.pack("<Q", 2**62)), "over the limit"),
    "too many strings": (head(text("k") + struct.pack("<IIQ", 9, 8, MAX_STRINGS + 1)), "over the limit"),
    "array past the end": (head(text("k") + struct.pack("<IIQ", 9, 4, 2**20)), "runs past"),
    "odd alignment": (gguf({"general.architecture": "llama", "general.alignment": 48}, []), "power of two"),
    "alignment of another type": (head(ALIGNMENT + struct.pack("<IQ", 10, 32)), "not uint32"),
    "alignment that is text": (head(ALIGNMENT + struct.pack("<I", 8) + text("32")), "not uint32"),
    "alignment of zero": (head(ARCHITECTURE, ALIGNMENT + struct.pack("<II", 4, 0)), "power of two"),
    "five dimensions": (one(tensor(1, 1, 1, 1, 1)), "5 dimensions"),
    "negative extent": (one(tensor(-4)), "extent -4"),
    "misaligned tensor": (one(tensor(4, offset=16)), "starts at 16, not at 0"),
    "a gap before the first tensor": (one(tensor(4, offset=32), data=96), "starts at 32, not at 0"),
    "a gap between tensors": (many(tensor(4), tensor(4, name="u", offset=64), data=128), "starts at 64, not at 32"),
    "tensors that overlap": (many(tensor(16), tensor(4, name="u", offset=32), data=128), "starts at 32, not at 64"),
    "tensors out of order": (many(tensor(4, offset=32), tensor(4, name="u"), data=128), "starts at 32, not at 0"),
    "two tensors of one name": (many(tensor(4), tensor(4, offset=32), data=128), "comes twice"),
    "two names that are one up to NUL": (many(tensor(4, name="t\0a"), tensor(4, offset=32), data=128), "comes twice"),
    "a name of 64 bytes": (one(tensor(4, name="n" * 64)), "64 bytes"),
    "a name of 80 bytes": (one(tensor(4, name="n" * 80)), "80 bytes"),
    "a name of 2000 bytes": (one(tensor(4, name="n" * 2000)), "over the limit"),
    "a type below zero": (one(tensor(4, kind=2**31)), "type -2147483648"),
    **{f"removed type {kind}": (one(tensor(256, kind=kind)), f"type {kind} .*removed") for kind in REMOVED},
    "elements beyond 2^63": (one(tensor(2**62, 2, kind=99)), "elements"),
    "half a block": (one(tensor(100, kind=12)), "block of 256"),
    "a quantized scalar": (one(tensor(kind=2)), "block of 32"),
    "tensor beyond the data": (one(tensor(17)), "truncated"),
    "overflowing tensor": (one(tensor(2**62, 2**62)), "elements"),
    "after a tensor of a newer type": (many(tensor(4, kind=99), tensor(4, name="u"), data=128), "starts at 0"),
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


@up_to(150)
@given(st.binary(max_size=300))
def test_noise_after_the_magic_raises_nothing_else(noise: bytes) -> None:
    survives(b"GGUF\3\0\0\0" + noise)


@up_to(200)
@given(st.integers(0, 9000), st.binary(min_size=1, max_size=12), st.integers(0, len(TINY)))
def test_a_damaged_model_raises_nothing_else(place: int, damage: bytes, cut: int) -> None:
    survives((TINY[:place] + damage + TINY[place + len(damage) :])[: max(cut, place + 20)])


@up_to(50)
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


WHOLE: dict[int, tuple[int, int]] = {0: (4, 16), 1: (8, 16), 2: (32, 18), 12: (256, 144), 39: (32, 17)}
"""Type -> a row's values, and its bytes."""


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A tensor table that is good but for one change, or none."""
    out, offset = [], 0
    count = draw(st.integers(1, 4))
    wrong = draw(st.integers(-count, count - 1))
    for number in range(count):
        kind = draw(st.sampled_from([*WHOLE]))
        rows, (values, size) = draw(st.integers(1, 3)), WHOLE[kind]
        name, shape, place = f"t{number}", [values, rows], offset
        offset += -(-rows * size // 32) * 32
        if number == wrong:
            what = draw(st.sampled_from(["name", "shape", "kind", "place"]))
            name = draw(st.sampled_from(["t0", "n" * 63, "n" * 64, "", "t0\0x"])) if what == "name" else name
            extents = st.sampled_from([1, 2, 32, 256, 0, -1, 2**31, 2**62, 2**63 - 1])
            shape = draw(st.lists(extents, max_size=5)) if what == "shape" else shape
            kinds = st.sampled_from([4, 31, 36, 43, 14, 2**31, 2**32 - 1])
            kind = draw(kinds) if what == "kind" else kind
            places = st.sampled_from([0, 1, 32, 64, 2**63, 2**64 - 1, 2**64 - 32])
            place = draw(places) if what == "place" else place
        out.append(text(name) + struct.pack(f"<I{len(shape)}qIQ", len(shape), *shape, kind, place))
    return many(*out, data=max(0, offset - draw(st.sampled_from([0, 0, 0, 1, 40, offset]))))


@up_to(200)
@given(tables())
def test_any_tensor_table_is_taken_or_named(content: bytes) -> None:
    survives(content)


def test_a_header_of_many_long_values_takes_neither_much_memory_nor_long() -> None:
    keys = MAX_KEYS // 8
    key = b"".join(text(f"k{number}") + struct.pack("<I", 8) + text("v" * 4000) for number in range(keys - 1))
    content = b"GGUF" + struct.pack("<Iqq", 3, 0, keys) + ARCHITECTURE + key
    tracemalloc.start()
    try:
        survives(content)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
