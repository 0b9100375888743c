"""Decision by the first rule that holds; input of clients is never slow or an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.routing import Routing
from larder_sidecar.routing.router import SCANNED, Considered, Router

CHAT = "/v1/chat/completions"
CODE, SHORT = {"pattern": "(?i)(write|implement).*code"}, {"max-characters": 100}


def router(*rules: dict[str, Any]) -> Router:
    numbered = [{**rule, "model": f"m{number}"} for number, rule in enumerate(rules, 1)]
    return Router(Routing.model_validate({"rules": numbered}))


def body(text: str) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text}]}).encode()


def considered(rules: Router, sent: bytes, endpoint: str = CHAT, **headers: str) -> list[Considered]:
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    steps = rules.explain(endpoint, lambda name: given.get(name, b""), sent, lambda model: model != "mute")
    return [one for one in steps if one is not None]


def choose(rules: Router, text: str, endpoint: str = CHAT, **headers: str) -> str | None:
    field = {"/v1/embeddings": "input"}.get(endpoint)
    last = considered(rules, json.dumps({field: text}).encode() if field else body(text), endpoint, **headers)[-1]
    return None if last.why_not else last.model


CASES: list[tuple[list[dict[str, Any]], str, str | None]] = [
    ([CODE, SHORT], "Write some code", "m1"),
    ([SHORT, CODE], "Write some code", "m1"),
    ([CODE, SHORT], "hello", "m2"),
    ([CODE, SHORT], "x" * 101, None),
    ([{**CODE, **SHORT}], "write code" + "x" * 100, None),
    ([{"pattern": "^.{0,100}$"}], "short", "m1"),
    ([{"pattern": "^.{0,100}$"}], "two\nlines", "m1"),  # a length and nothing else is that of all lines
    ([{"pattern": "^.{0,100}$"}], "x\n" * 50, "m1"),
    ([{"pattern": "^.{0,100}$"}], "x\n" * 50 + "x", None),
    ([{"pattern": "^.{0,100}$"}], "", "m1"),
    ([{"pattern": "^.{0,100}$"}], "é\n" * 50, "m1"),
    ([{"pattern": "^.{0,100}$"}], "x\n" * SCANNED, None),
    ([{"pattern": r"\A.{5,}\z"}], "a\nbcd", "m1"),
    ([{"pattern": "(?i)^(.{2,3})$"}], "a\nb", "m1"),
    ([{"pattern": "^.*$"}], "two\nlines", "m1"),
    ([{"pattern": "^a.{0,100}$"}], "a\nb", None),  # not a length alone
    ([{"pattern": "(write|generate|implement).*code"}], "Please implement some code", "m1"),
    ([{"pattern": "(write|generate|implement).*code"}], "Please implement\nsome code", None),
    ([{"pattern": "(?s)(write|generate|implement).*code"}], "Please implement\nsome code", "m1"),
    ([{"pattern": "(code|function|class|implement)"}], "sort it\nby a function", "m1"),
    ([{"pattern": "(?s)^.{0,100}$"}], "two\nlines", "m1"),
    ([{"pattern": "(?s)^.{0,100}$"}], "x" * 101, None),
    ([SHORT], "two\nlines", "m1"),
    ([{"pattern": "a$"}], "a\n", None),  # RE2's $ is the very end
    ([{"pattern": r"\x00"}], "a\x00b", "m1"),
    ([{"pattern": "ä"}], "\ud800ä", "m1"),
    ([{"pattern": r"^\?ä$"}], "\ud800ä", "m1"),
    ([{"min-characters": 2}], "é", None),
    ([{"max-characters": 0}], "", "m1"),
]


@pytest.mark.parametrize(("rules", "text", "model"), CASES, ids=[f"{rules}-{text[:12]!a}" for rules, text, _ in CASES])
def test_all_conditions_of_the_first_rule_that_holds(rules: list[dict[str, Any]], text: str, model: str | None) -> None:
    assert choose(router(*rules), text) == model


def test_endpoint_and_headers_are_conditions_too() -> None:
    rules = router({"endpoint": "/v1/embeddings"}, {"header": {"X-Team": "research"}})
    assert choose(rules, "a", "/v1/embeddings") == "m1"
    assert choose(rules, "a", x_team="research") == "m2"
    assert choose(rules, "a", x_team="Research") is None
    assert choose(rules, "a") is None


def test_blanks_around_the_value_of_a_header_are_ignored() -> None:
    assert choose(router({"header": {"x-team": "a b"}}), "a", x_team="a b \t") == "m1"


def test_a_rule_whose_engine_does_not_answer_the_path_does_not_hold() -> None:
    rules = Router(
        Routing.model_validate({"rules": [{"pattern": "a", "model": "mute"}, {"pattern": "a", "model": "b"}]})
    )
    assert choose(rules, "a") == "b"
    assert considered(rules, body("a"))[0].why_not == f"the engine of mute does not answer {CHAT}"


def test_a_body_is_not_read_for_rules_that_do_not_look_at_it() -> None:
    assert considered(router({"endpoint": CHAT}), b"no JSON") == [Considered("rule-1", "m1", "")]


@pytest.mark.parametrize("none", [b'{"messages": []}', b'{"prompt": "a"}', b"{"])
def test_rules_about_text_do_not_hold_without_text(none: bytes) -> None:
    told = considered(router({"pattern": "a"}, {"max-characters": 9}, {"min-characters": 1}, {"endpoint": CHAT}), none)
    assert [bool(c.why_not) for c in told] == [True, True, True, False]


def test_both_ends_of_a_long_text_are_searched() -> None:
    pasted = "x" * SCANNED
    rules = router({"pattern": "fix this"})
    assert choose(rules, f"fix this:{pasted}") == "m1"
    assert choose(rules, f"{pasted}: fix this") == "m1"
    assert choose(rules, f"{pasted}fix this{pasted}") is None
    assert choose(router({"pattern": "^x+$"}), pasted * 2) is None  # two lines, as is said
    assert choose(router({"min-characters": 2 * SCANNED}), pasted * 2) == "m1"  # the length is the whole text's


def test_the_larger_the_rules_the_less_of_a_long_text_they_see() -> None:
    gaps = router(*({"pattern": f"(?is)(write|make).{{0,80}}code{n}"} for n in range(15)))
    assert choose(gaps, "write code3" + "x" * 100_000) == "m4"
    assert choose(gaps, "x" * 30_000 + "write code3" + "x" * 30_000) is None


def test_it_explains_every_rule_up_to_the_one_that_decides() -> None:
    rules = router({"endpoint": "/api/chat"}, {"header": {"x-a": "b"}}, CODE, {"min-characters": 9}, SHORT, CODE)
    told = [(c.rule, c.why_not) for c in considered(rules, body("hello"))]
    assert told == [
        ("rule-1", "the request did not come to /api/chat"),
        ("rule-2", "header x-a has another value, or none"),
        ("rule-3", "the pattern is not found"),
        ("rule-4", "the text has 5 characters, fewer than 9"),
        ("rule-5", ""),
    ]


WORDS = st.lists(st.sampled_from(["write", "code", "a", "\n", " ", "ä"]), max_size=12).map("".join)
RULE = st.fixed_dictionaries(
    {"pattern": st.sampled_from(["a+", "write.*code", "(?s)write.*code", "^a", "ä$", "code|a"])},
    optional={"max-characters": st.integers(3, 30), "min-characters": st.integers(1, 3)},
)


@given(st.lists(RULE, min_size=1, max_size=6), WORDS)
def test_together_they_decide_as_one_by_one(rules: list[dict[str, Any]], text: str) -> None:
    alone = (f"m{n}" for n, rule in enumerate(rules, 1) if choose(router(rule), text))
    assert choose(router(*rules), text) == next(alone, None)
