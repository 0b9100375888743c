"""Reader of a role's file, which reports every problem at once."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from .base import Model

_FOLLOWS = "default_factory_not_called"
"""Type of the problem that pydantic reports for a field because of another field's problem."""
_MOST_LINES = 30
_LINE_CHARACTERS = 400
_PLACE_CHARACTERS = 120

ConfigT = TypeVar("ConfigT", bound=Model)


class ConfigError(ValueError):
    """The error for a file that cannot be used; one line for each problem, each with its path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def read_config(path: Path, model: type[ConfigT]) -> ConfigT:
    """Read the file as an instance of `model`. Raises ConfigError."""
    try:
        return model.from_json(path.read_bytes())
    except OSError as reason:
        raise ConfigError([f"{path}: {reason.strerror}"]) from reason
    except ValidationError as reason:
        raise ConfigError([f"{path}: {line}" for line in problem_lines(reason)]) from reason


def problem_lines(reason: ValidationError) -> list[str]:
    """Return a line for each of the first problems, with its path and without the value, which may be a secret.

    str() of a ValidationError would include the values, at any size.
    """
    errors = [error for error in reason.errors(include_url=False, include_input=False) if error["type"] != _FOLLOWS]
    lines = [f"{_place(error['loc'])}{_short(error['msg'], _LINE_CHARACTERS)}" for error in errors[:_MOST_LINES]]
    return lines + ([f"and {len(errors) - _MOST_LINES} problems more"] if len(errors) > _MOST_LINES else [])


def problems(reason: ValidationError) -> str:
    """Return the same in one line."""
    return "; ".join(problem_lines(reason))


def _place(steps: tuple[int | str, ...]) -> str:
    return f"{_short('.'.join(map(str, steps)), _PLACE_CHARACTERS)}: " if steps else ""


def _short(text: str, most: int) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
