"""Problems of a stack config, one line each, with path and remedy."""

import re
from collections.abc import Sequence

import pulumi
from larder_sidecar.catalog import CatalogEntry
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .names import choices, did_you_mean
from .places import Place, places
from .problem import Problem

_MOST_LINES = 50
"""Limit for the problems reported of one block, since a file may be wrong in every line."""
_MOST_CHARACTERS = 200
"""Limit for the characters of a value or a path in a line, since a file may hold any text."""


class SettingsError(pulumi.RunError):
    """All problems of the stack config. It is a RunError, which Pulumi prints without a stack trace."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(Problem(_one_line(problem.path), _one_line(problem.text)) for problem in problems)
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the problems as lines."""
        return tuple(map(str, self.problems))


def _one_line(text: str) -> str:
    """Return the text without line breaks, control characters and users in URLs."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    return _USER_IN_URL.sub("//…@", line)


_USER_IN_URL = re.compile(r"//[^/\s@]*@")
"""User part of a URL, which probably holds a password and is never printed."""


def entry_problems(name: str, why: ValidationError | str) -> list[Problem]:
    """Return the problems of one file of the catalog. Each has the file as its path."""
    file = f"catalog/models/{name}.yaml"
    if isinstance(why, str):
        return [Problem(file, f"{why}.")]
    found = block_problems("", FieldInfo(annotation=CatalogEntry), why)
    return [Problem(file, str(problem).removeprefix(".").removeprefix(": ")) for problem in found]


def block_problems(key: str, block: FieldInfo, error: ValidationError) -> list[Problem]:
    """Return the problems of one block, which was read as the type of its field."""
    errors = error.errors(include_url=False)
    return [_problem(key, e, places(block, e)) for e in errors[:_MOST_LINES]] + _more(key, len(errors))


def limited(key: str, problems: Sequence[Problem]) -> list[Problem]:
    """Return the first problems of a block, and the number of the others."""
    return [*problems[:_MOST_LINES], *_more(key, len(problems))]


def _more(key: str, found: int) -> list[Problem]:
    return [Problem(key, f"and {found - _MOST_LINES} more problems.")] if found > _MOST_LINES else []


def _problem(key: str, error: ErrorDetails, way: list[Place]) -> Problem:
    return Problem(f"{key}{_short(''.join(place.step for place in way))}", _text(error, way))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _quote(value: object) -> str:
    try:
        return _short(repr(value))
    except ValueError:  # an integer with more digits than Python writes
        return "a number with too many digits"


def _text(error: ErrorDetails, way: list[Place]) -> str:
    place, parent = way[-1], way[-2] if len(way) > 1 else way[-1]
    remedy = f" {place.field.description}" if place.field and place.field.description else ""
    given = _quote(error["input"])
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(str(error["loc"][-1]), parent)
        case "missing":
            if parent.kind:
                return f"kind {parent.kind} requires this key. Fix: add it.{remedy}"
            return f"is missing. Fix: add it.{remedy}"
        case "literal_error":
            valid = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            near = did_you_mean(str(error["input"]), valid) if isinstance(error["input"], str) else ""
            return f"{given} is not one of the choices. {near}Fix: choose one of {', '.join(valid)}."
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping, not {given}.{f' Keys: {choices(place.keys)}.' if place.keys else ''}"
        case "too_short":
            return f"must not be empty. Fix: add an item.{remedy}"
        case "string_pattern_mismatch":
            return f"{given} is not allowed here.{remedy} Fix: write text that matches {error['ctx']['pattern']}"
        case _:
            return f"{_SUBJECT.sub('must ', error['msg'])}, not {given}.{remedy}"


_SUBJECT = re.compile(r"^(Input|String|List|Dictionary|Tuple|Value|Data) should ")
"""Begin of pydantic's messages about the value itself, as in `Input should be a valid string`."""


def _unknown_key(key: str, parent: Place) -> str:
    if parent.by_kind and parent.kind and key in parent.keys:
        return f"a {parent.by_kind.noun} of kind {parent.kind} has no {key}. Fix: remove the key."
    return f"unknown key. {did_you_mean(key, parent.keys)}Fix: use one of {choices(parent.keys)}."
