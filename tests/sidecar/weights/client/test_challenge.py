"""WWW-Authenticate as servers write it, and as RFC 9110 allows it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.client.challenge import LONGEST, Challenge, parse_challenges

BEARER = {"realm": "https://auth.example/token", "service": "x"}
WRITTEN: dict[str, tuple[list[str], list[tuple[str, dict[str, str]]]]] = {
    "one": (['Bearer realm="https://auth.example/token",service="x"'], [("bearer", BEARER)]),
    "two lines": (
        ['Bearer realm="https://auth.example/token",service="x"', 'Basic realm="r"'],
        [("bearer", BEARER), ("basic", {"realm": "r"})],
    ),
    "one line": (
        ['Basic realm="r", Bearer realm="https://auth.example/token", service="x"'],
        [("basic", {"realm": "r"}), ("bearer", BEARER)],
    ),
    "unquoted": (["Bearer realm=https://auth.example/token,service=x"], [("bearer", BEARER)]),
    "blanks around =": (['Bearer realm = "https://auth.example/token" , service\t=x'], [("bearer", BEARER)]),
    "any case": (['BEARER Realm="https://auth.example/token",SERVICE="x"'], [("bearer", BEARER)]),
    "blanks in place of commas": (['Bearer realm="https://auth.example/token" service="x"'], [("bearer", BEARER)]),
    "a comma and a scheme in quotes": (
        ['Digest realm="a, Bearer realm=b"'],
        [("digest", {"realm": "a, Bearer realm=b"})],
    ),
    "escapes": ([r'Basic realm="a \"b\" \\ \c"'], [("basic", {"realm": r'a "b" \ c'})]),
    "a word alone": (["Negotiate, Basic realm=r"], [("negotiate", {}), ("basic", {"realm": "r"})]),
    "empty elements": ([", ,Basic realm=r,, ,charset=UTF-8,"], [("basic", {"realm": "r", "charset": "UTF-8"})]),
    "quotes without an end": (['Basic realm="r'], [("basic", {"realm": "r"})]),
    "an empty value": (['Basic realm=""'], [("basic", {"realm": ""})]),
    "a folded line": (['Bearer realm="https://auth.example/token",\r\n service="x"'], [("bearer", BEARER)]),
    "a name twice": (['Basic realm="a", realm="b"'], [("basic", {"realm": "a"})]),
    "parameters of nobody": (['realm="a", Basic realm="b"'], [("basic", {"realm": "b"})]),
    "single quotes": (["Bearer realm='https://auth.example/token',service='x'"], [("bearer", BEARER)]),
    "semicolons": (['Bearer realm="https://auth.example/token"; service=x'], [("bearer", BEARER)]),
    "nothing": (["", " ", ",", '"', "="], []),
}


@pytest.mark.parametrize(("lines", "found"), WRITTEN.values(), ids=WRITTEN.keys())
def test_challenges_are_read_as_they_are_written(lines: list[str], found: list[tuple[str, dict[str, str]]]) -> None:
    assert [(it.scheme, dict(it.parameters)) for it in parse_challenges(lines)] == found


def test_a_token_of_68_characters_is_no_parameter() -> None:
    found = parse_challenges(["Negotiate YII/abc+d==, NTLM TlRM, Basic realm=r"])
    assert [(it.scheme, it.token68) for it in found] == [("negotiate", "YII/abc+d=="), ("ntlm", "TlRM"), ("basic", "")]


@given(st.lists(st.text(alphabet='aB,="\\ \t\r\n/:', max_size=60), max_size=4))
def test_any_text_is_read(lines: list[str]) -> None:
    assert all(it.scheme == it.scheme.lower() != "" for it in parse_challenges(lines))


NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)), max_size=4))
def test_what_is_written_by_the_rules_is_read_back(wanted: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    line = ", ".join(f"{s} " + ", ".join(f"{k}={quoted(v)}" for k, v in p.items()) for s, p in wanted)
    assert parse_challenges([line]) == [Challenge(scheme, parameters) for scheme, parameters in wanted]


@pytest.mark.parametrize(
    "unit", ['"', "\\", "a", "a=", 'a="', 'a="\\', "a ", "a b=", "Basic ", "Basic a=,", "=", ",", '"\\"=', "a/", "é"]
)
def test_a_hostile_header_costs_little(unit: str) -> None:
    began = time.thread_time()
    found = parse_challenges([unit * 60_000, "Bearer realm=x"])
    assert time.thread_time() - began < 0.5
    assert sum(len(it.scheme) + len(it.token68) for it in found) <= LONGEST
