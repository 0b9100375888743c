"""Reads a role's file, or says everything that is wrong with it."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from .base import Model

ConfigT = TypeVar("ConfigT", bound=Model)


class ConfigError(ValueError):
    """A file that cannot be used; one line for each problem, each with its place."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def read_config(path: Path, model: type[ConfigT]) -> ConfigT:
    """Read the file as what `model` describes. Raises ConfigError."""
    try:
        return model.from_json(path.read_bytes())
    except OSError as reason:
        raise ConfigError([f"{path}: {reason.strerror}"]) from reason
    except ValidationError as reason:
        raise ConfigError([f"{path}: {line}" for line in problem_lines(reason)]) from reason


def problem_lines(reason: ValidationError) -> list[str]:
    """A line for each problem, with its place and without the value: that may be anything."""
    told = [error for error in reason.errors() if error["type"] != "default_factory_not_called"]  # follows from others
    return [": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"]))) for e in told]
