"""Any stack file gives settings, or problems of one line each."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.examples import up_to
from tests.unit.stack_config import GOOD, problems_of

WORDS = st.one_of(
    st.sampled_from(
        ["none", "node-local", "alpha", "venus", "cpu", "20Gi", "20MiB/s", "embedded", "/a/b", "context", "eks", "a.b"]
    ),
    st.text(max_size=8),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in below for place in _places(item, (*at, key)))]


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = _with(value[place[0]], place[1:], new)
    return copy


FULL = {
    **GOOD,
    "larder:node-pools": {
        "cpu": {"hosts": ["venus", "mars"], "labels": {"tier": "a"}, "taints": ["team=ml:NoSchedule"]},
        "spare": {"hosts": ["pluto"], "accelerator": "amd.com/gpu"},
    },
    "larder:gateway": {
        "routing": {"default": "alpha", "aliases": {"gpt": "alpha"}},
        "service": "NodePort",
        "node-port": 30081,
    },
    "larder:hub": {"endpoint": "https://hub"},
}
PLACES = [place for place in _places(FULL) if place]


@up_to(300)
@given(st.sampled_from(PLACES), VALUES, st.dictionaries(WORDS.map("larder:{}".format), VALUES, max_size=1))
def test_any_value_is_read_or_reported_in_lines(place: tuple[Any, ...], new: Any, more: dict[str, Any]) -> None:
    raw = {**_with(FULL, place, new), **more}
    problems = problems_of(raw)
    assert [line for line in problems if not line.startswith("larder:") or len(line.splitlines()) != 1] == []
