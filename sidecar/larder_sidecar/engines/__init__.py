"""Adapters of the engines, one for each: the only modules that know an engine's own API."""

from collections.abc import Mapping
from importlib import import_module

from ..config.engines import ENGINES
from .adapter import Adapter, Ask, EngineError, Health
from .resident import Loaded, Resident


def adapter_of(kind: str) -> type[Adapter]:
    """Return the class that talks to engines of a kind, by the table of engines. Raises TypeError."""
    module, _, name = ENGINES[kind].adapter.rpartition(".")
    found: type[Adapter] = getattr(import_module(f"{__name__}.{module}"), name)
    if found.kind != kind or issubclass(found, Resident) != ENGINES[kind].loads_on_demand:
        # Otherwise a gateway would ignore `residency` for engines of this kind.
        msg = f"{name} is not the adapter that the table of engines describes for {kind!r}"
        raise TypeError(msg)
    return found


ADAPTERS: Mapping[str, type[Adapter]] = {kind: adapter_of(kind) for kind in ENGINES}
"""Adapters by kind."""

__all__ = ["ADAPTERS", "Adapter", "Ask", "EngineError", "Health", "Loaded", "Resident", "adapter_of"]
