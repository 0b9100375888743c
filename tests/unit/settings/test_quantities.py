"""Sizes and bandwidths."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.settings.quantities import bandwidth_bytes, in_mebibytes, millicores, readable, size_bytes


@pytest.mark.parametrize(("text", "count"), [("1Ki", 2**10), ("512Mi", 2**29), ("20Gi", 20 * 2**30), ("2Ti", 2**41)])
def test_sizes_are_binary(text: str, count: int) -> None:
    assert size_bytes(text) == count


@pytest.mark.parametrize(
    "text", ["", "20", "20G", "20GB", "0Gi", "-1Gi", "1.5Gi", "1Gi\n", " 1Gi", "\u0661Gi", None, 3]
)
def test_an_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        size_bytes(text)


@pytest.mark.parametrize(("text", "count"), [("1KiB/s", 2**10), ("20MiB/s", 20 * 2**20), ("1GiB/s", 2**30)])
def test_bandwidths_are_bytes_per_second(text: str, count: int) -> None:
    assert bandwidth_bytes(text) == count


@pytest.mark.parametrize("text", ["20", "20MiB", "20MB/s", "20Mi/s", "0MiB/s", "20MiB/s ", None])
def test_an_invalid_bandwidth_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a bandwidth"):
        bandwidth_bytes(text)


@given(st.integers(min_value=1, max_value=2**45))
def test_a_quantity_rounds_bytes_up_to_mebibytes(count: int) -> None:
    assert 0 <= size_bytes(in_mebibytes(count)) - count < 2**20


def test_readable_sizes() -> None:
    assert [readable(count) for count in (5, 2**10, 668788096, 3 * 2**30)] == ["5 B", "1.0 KiB", "637.8 MiB", "3.0 GiB"]


def test_processors_are_counted_in_thousandths() -> None:
    assert [millicores(text) for text in ("500m", "2")] == [500, 2000]
