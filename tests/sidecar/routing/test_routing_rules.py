"""Validation of rules: which are refused, and which can never decide."""

from typing import Any, get_args

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.config.routing import Endpoint, Routing, stops_at_lines
from larder_sidecar.gateway.routes import ROUTES
from pydantic import ValidationError

BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "has no condition and would hold for every request. Fix: write its model as `default`"),
    ({"min-characters": 5, "max-characters": 4}, "min-characters 5 is more than max-characters 4: no text is both"),
    ({"pattern": "(a"}, "is not an RE2 pattern: missing ): (a"),
    ({"pattern": "a(?=b)"}, "RE2 has no look-around and no back-reference"),
    ({"pattern": "(?<!a)b"}, "RE2 has no look-around and no back-reference"),
    ({"pattern": r"(a)\1"}, "RE2 has no look-around and no back-reference"),
    ({"pattern": r"((\pL{1,50}\s*){1,10} ){9}"}, "repetition"),
    ({"pattern": r"(\pL{1,90}\s*){1,10}"}, "use smaller ones"),
    ({"pattern": "\ud800"}, "valid string"),
    ({"pattern": ""}, "at least 1 character"),
    ({"endpoint": "/api/tags"}, "Input should be '/v1/chat/completions'"),
    ({"header": {"x team": "a"}}, "match pattern"),
    ({"header": {"x-a": ""}}, "match pattern"),
    ({"header": {"x-a": "b "}}, "match pattern"),
    ({"header": {"X-A": "1", "x-a": "2"}}, "names one header twice"),
    ({"pattern": "a", "confidence": 0.9}, "Extra inputs"),
]


@pytest.mark.parametrize(("conditions", "says"), BAD, ids=[says[:40] for _, says in BAD])
def test_a_rule_that_cannot_work_is_refused_with_its_reason(conditions: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Routing.model_validate({"rules": [{**conditions, "model": "m"}]})
    assert says in str(refused.value)


@pytest.mark.parametrize("name", ["rule-2", "default"])
def test_a_name_stands_for_one_rule(name: str) -> None:
    rules = [{"name": name, "pattern": "a", "model": "m"}, {"pattern": "b", "model": "m"}]
    with pytest.raises(ValidationError, match=f"'{name}' is the name of another rule, or reserved"):
        Routing.model_validate({"rules": rules})


def test_a_rule_that_leads_nowhere_is_refused_by_the_gateway() -> None:
    file = {"engines": [{"kind": "ollama", "url": "http://e"}], "models": [{"id": "a", "engine-name": "a"}]}
    with pytest.raises(ValidationError, match="routing: rule-1 leads to 'b', which is not among the models: a"):
        GatewayConfig.model_validate({**file, "routing": {"rules": [{"pattern": "x", "model": "b"}]}})


def test_a_rule_knows_every_path_whose_requests_have_a_prompt() -> None:
    asks = {"chat", "text_completion", "embeddings", "count_tokens"}
    assert set(get_args(Endpoint)) == {route.path for route in ROUTES.values() if route.operation in asks}


def test_patterns_that_would_take_long_together_are_refused() -> None:
    rules = [{"pattern": f"(?s)write.{{0,300}}code{number}", "model": "m"} for number in range(20)]
    with pytest.raises(
        ValidationError, match=r"the patterns up to rule-\d+ come to 1\d,\d+ instructions, more than 16,3"
    ):
        Routing.model_validate({"rules": rules})


LONG, SHORT = {"min-characters": 500}, {"max-characters": 100}
SHADOWS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"pattern": "a"}, {"pattern": "a"}, True),
    ({"pattern": "a"}, {"pattern": "b"}, False),
    ({"pattern": "a"}, {"pattern": "a", **SHORT}, True),
    ({"pattern": "a", **SHORT}, {"pattern": "a"}, False),
    (SHORT, {"max-characters": 100}, True),
    (SHORT, {"max-characters": 101}, False),
    (SHORT, {"max-characters": 5, "pattern": "x"}, True),
    (SHORT, {"pattern": "x"}, False),
    (LONG, {"min-characters": 501}, True),
    (LONG, {"min-characters": 499}, False),
    ({"endpoint": "/api/chat"}, {"endpoint": "/api/chat", "pattern": "x"}, True),
    ({"endpoint": "/api/chat"}, {"endpoint": "/api/embed"}, False),
    ({"header": {"X-Team": "a"}}, {"header": {"x-team": "a", "x-more": "b"}}, True),
    ({"header": {"x-team": "a"}}, {"header": {"x-team": "b"}}, False),
]


@pytest.mark.parametrize(("first", "second", "shadowed"), SHADOWS, ids=str)
def test_a_rule_after_one_that_holds_wherever_it_does_never_decides(
    first: dict[str, Any], second: dict[str, Any], shadowed: bool
) -> None:
    routing = Routing.model_validate({"rules": [{**first, "model": "m"}, {**second, "model": "n"}]})
    assert list(routing.shadowed()) == ([(0, 1)] if shadowed else [])


@pytest.mark.parametrize(
    ("pattern", "stops"),
    [
        ("(write|generate|implement).*code", True),
        ("(?i)(write|implement).*code", True),
        ("^a.{0,100}$", True),
        ("a.+b", True),
        ("(?s)write.*code", False),
        ("(?is)write.*code", False),
        ("(?s:write.*code)", False),
        ("(code|function|class|implement)", False),
        ("^.{0,100}$", False),
        (r"v1\.*", False),
        ("[.]*", False),
        (r"[\].]*x", False),
        ("a.b", False),
    ],
)
def test_a_repeated_dot_that_stops_at_a_line_is_detected(pattern: str, stops: bool) -> None:
    assert stops_at_lines(pattern) is stops
