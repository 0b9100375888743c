"""The stack config: pydantic, frozen, unknown keys refused; every problem at once, each with its path and remedy."""

from .errors import SettingsError
from .problem import Problem
from .read import parse, read
from .root import Settings

__all__ = ["Problem", "Settings", "SettingsError", "parse", "read"]
