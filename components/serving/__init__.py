"""Engines and their gateways."""

from typing import Any

from .kserve_rocm import KServeRocm
from .ollama import Ollama
from .shimmy import Shimmy
from .stack import Site, Stack

STACKS: dict[str, type[Stack[Any]]] = {stack.SETTINGS.NAME: stack for stack in (Ollama, Shimmy, KServeRocm)}
"""The component of each stack in components/settings/stacks.py, by its word."""

__all__ = ["STACKS", "Site", "Stack"]
