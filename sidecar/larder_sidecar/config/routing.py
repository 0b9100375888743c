"""Rules that choose the model of a request that names none: ordered rules, and a default."""

import functools
import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import re2
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from .base import Model
from .weights import ModelId

Endpoint = Literal[
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/chat/completions/input_tokens",
    "/v1/responses/input_tokens",
    "/api/chat",
    "/api/generate",
    "/api/embed",
    "/api/embeddings",
]
"""A path whose requests have a prompt."""
MAX_RULES = 200
MAX_INSTRUCTIONS = 16_384
"""Limit for the instructions of all patterns together: a word has about ten, `.{0,100}` 900."""
DEFAULT = "default"
"""Name of the rule for requests for which no rule held."""
_ONLY_A_LENGTH = re.compile(r"(?:\(\?i\))?(?:\^|\\A)\(?\.(?:[*+?]|\{\d{1,4}(?:,\d{0,4})?\})\??\)?(?:\$|\\z)")
"""Patterns such as `^.{0,100}$`, which limit the length of the whole text: line ends count as characters."""
_NO_DOT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
"""Escapes and classes: the parts of a pattern in which `.` does not stand for any character."""
_BEYOND_RE2 = ("invalid perl operator: (?", "invalid escape sequence: \\")


@functools.cache
def _options() -> re2.Options:
    chosen = re2.Options()
    chosen.max_mem = 1 << 19
    chosen.log_errors = False
    return chosen


@functools.lru_cache(MAX_RULES)
def compiled(pattern: str) -> Any:  # noqa: ANN401 (re2 has no types)
    """Return the pattern compiled for UTF-8: linear time, 512 KiB, silent. Raises re2.error, UnicodeEncodeError.

    Cached: each pattern is checked alone and with the others, and then used.
    """
    lines = "(?s)" if _ONLY_A_LENGTH.fullmatch(pattern) else ""
    return re2.compile((lines + pattern).encode(), _options())


def stops_at_lines(pattern: str) -> bool:
    """Tell if the pattern has a repeated `.` that stops at the end of a line, as `write.*code` does."""
    if _ONLY_A_LENGTH.fullmatch(pattern) or re.search(r"\(\?[a-zA-Z]*s", pattern):
        return False
    return re.search(r"\.[*+{]", _NO_DOT.sub("x", pattern)) is not None


def _compiles(pattern: str) -> str:
    try:
        compiled(pattern)
    except UnicodeEncodeError:
        msg = "is not text: it contains half of a surrogate pair. Fix: remove it"
        raise ValueError(msg) from None
    except re2.error as reason:
        problem = reason.args[0].decode(errors="replace") if reason.args else "it does not compile"
        hint = ". Fix: correct the pattern"
        if problem.startswith(_BEYOND_RE2):
            hint = ". RE2 has no look-around and no back-reference, which can take for ever. Fix: use several rules"
        elif "too large" in problem:
            hint = ". Its repetitions multiply to a program of over 512 KiB. Fix: use smaller ones"
        msg = f"is not an RE2 pattern: {problem}{hint}"
        raise ValueError(msg) from None
    return pattern


def _in_lower_case(headers: object) -> object:
    if not isinstance(headers, dict):
        return headers
    lower = {name.lower() if isinstance(name, str) else name: value for name, value in headers.items()}
    if len(lower) < len(headers):
        msg = "names one header twice: header names ignore case. Fix: keep one of them"
        raise ValueError(msg)
    return lower


Pattern = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_compiles)]
"""RE2's syntax. Found anywhere in the text; `.` stops at a line's end unless the pattern begins with (?s).

A pattern that says a length and nothing else (`^.{0,100}$`) counts line ends too.
"""
HeaderName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,254}[!-~])?$")]


class Rule(Model):
    """A rule, which holds if all of its conditions do."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] | None = None
    """Value of the response header x-larder-rule. Default: rule-<n>, counted from 1."""
    pattern: Pattern | None = None
    """Found in the last message of the user, in RE2's syntax; (?i) ignores case, (?s) lets . match line ends."""
    min_characters: Annotated[int, Field(ge=1)] | None = None
    """The last message of the user has at least so many characters."""
    max_characters: Annotated[int, Field(ge=0)] | None = None
    """The last message of the user has at most so many characters."""
    endpoint: Endpoint | None = None
    """The request came to this path."""
    header: Annotated[dict[HeaderName, HeaderValue], BeforeValidator(_in_lower_case)] = Field(default={})
    """Request headers, each with exactly this value."""
    model: str = Field(min_length=1)
    """The model that answers: its id, alias or engine name."""

    @model_validator(mode="after")
    def _can_hold(self) -> Self:
        least, most = self.min_characters, self.max_characters
        if least is not None and most is not None and least > most:
            msg = f"min-characters {least} is more than max-characters {most}: no text is both. Fix: exchange the two"
            raise ValueError(msg)
        if self.conditions() == 0:
            msg = "has no condition and would hold for every request. Fix: write its model as `default`"
            raise ValueError(msg)
        return self

    def conditions(self) -> int:
        """Return the number of conditions."""
        conditions = (self.pattern, self.min_characters, self.max_characters, self.endpoint)
        return len(self.header) + sum(condition is not None for condition in conditions)

    def covers(self, other: "Rule") -> bool:
        """Tell if this rule holds wherever the other one does. True only if their conditions show it."""
        return (
            self.pattern in (None, other.pattern)
            and (self.min_characters or 0) <= (other.min_characters or 0)
            and _at_most(other) <= _at_most(self)
            and self.endpoint in (None, other.endpoint)
            and self.header.items() <= other.header.items()
        )


def _at_most(rule: Rule) -> float:
    return math.inf if rule.max_characters is None else rule.max_characters


class Routing(Model):
    """Rules for requests whose model is absent, empty or `auto`. The first that holds decides, else the default."""

    default: ModelId | None = None
    """The model for requests for which no rule holds; without it they are refused."""
    rules: list[Rule] = Field(default=[], max_length=MAX_RULES)

    def names(self) -> list[str]:
        """Return the name of each rule."""
        return [rule.name or f"rule-{number}" for number, rule in enumerate(self.rules, 1)]

    def shadowed(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of rules, by index, of which the first leaves no request for the second."""
        for later, rule in enumerate(self.rules):
            earlier = next((i for i in range(later) if self.rules[i].covers(rule)), None)
            if earlier is not None:
                yield earlier, later

    @model_validator(mode="after")
    def _patterns_are_small(self) -> Self:
        size = 0
        for name, rule in zip(self.names(), self.rules, strict=True):
            size += compiled(rule.pattern).programsize if rule.pattern else 0
            if size > MAX_INSTRUCTIONS:
                msg = (
                    f"the patterns up to {name} come to {size:,} instructions, more than {MAX_INSTRUCTIONS:,}. Fix: "
                    "state lengths by max-characters, and repeat less with {n,m}"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [DEFAULT, *self.names()]
        for index, name in enumerate(names):
            if name in names[:index]:
                msg = f"{name!r} is the name of another rule, or reserved. Fix: choose another name"
                raise ValueError(msg)
        return self
