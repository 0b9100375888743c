"""`ignore_changes` as Pulumi applies it: ignored properties keep their old value before anything is compared."""

from typing import Any

import pytest

from preview.ignoring import with_ignored

SPEC = {"a": 1, "b": {"c": 2, "d": 3}}
NAMED = [{"name": "x", "v": 1}, {"name": "y", "v": 2}]


@pytest.mark.parametrize(
    ("path", "before", "after", "found"),
    [
        ("a", {"a": 1}, {"a": 2}, {"a": 1}),
        ("s.b.c", {"s": SPEC}, {"s": {"a": 9, "b": {"c": 9, "d": 9}}}, {"s": {"a": 9, "b": {"c": 2, "d": 9}}}),
        ("s.b", {"s": SPEC}, {"s": {"a": 1}}, {"s": SPEC}),
        ("s.b", {"s": {"a": 1}}, {"s": SPEC}, {"s": {"a": 1}}),
        ("s.b.c", {}, {"s": SPEC}, {"s": {"a": 1, "b": {"d": 3}}}),
        ("s.b.c", {"s": SPEC}, {"a": 1}, {"a": 1}),
        ('s["b"].c', {"s": SPEC}, {"s": {"a": 1, "b": {"c": 9, "d": 3}}}, {"s": SPEC}),
        ('m["a.b/c"]', {"m": {"a.b/c": "1"}}, {"m": {"a.b/c": "2", "d": "3"}}, {"m": {"a.b/c": "1", "d": "3"}}),
        ("l[1].v", {"l": NAMED}, {"l": [{"v": 8}, {"v": 9}]}, {"l": [{"v": 8}, {"v": 2}]}),
        ("l[*].v", {"l": NAMED}, {"l": [{"v": 8}, {"v": 9}]}, {"l": [{"v": 1}, {"v": 2}]}),
        ("l[7]", {"l": NAMED}, {"l": NAMED}, {"l": NAMED}),
        ("s.*", {"s": {"a": 1}}, {"s": {"a": 2, "b": 3}}, {"s": {"a": 1}}),
        ("*", {"a": 1}, {"a": 2}, {"a": 1}),
        ("s.a.b", {"s": "text"}, {"s": SPEC}, {"s": SPEC}),
        ("", {"a": 1}, {"a": 2}, {"a": 2}),
        ("[", {"a": 1}, {"a": 2}, {"a": 2}),
    ],
)
def test_an_ignored_property_stays_as_it_was(path: str, before: Any, after: Any, found: Any) -> None:
    assert with_ignored(before, after, [path]) == found


def test_what_is_given_is_left_as_it_is() -> None:
    before, after = {"s": {"a": 1}}, {"s": {"a": 2}}
    with_ignored(before, after, ["s.a"])
    assert (before, after) == ({"s": {"a": 1}}, {"s": {"a": 2}})
