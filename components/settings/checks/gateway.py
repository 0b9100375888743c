"""Checks of larder:gateway against the cluster, the stacks and the models."""

from collections.abc import Iterator, Mapping

from ..gateway import needs_front
from ..problem import Problem, each
from ..served import ambiguous, not_listed, served
from ..stack_file import StackFile

KEY = "larder:gateway"


def check(file: StackFile) -> Iterator[Problem]:
    """Yield settings that have no effect, a missing front, and names that belong to no model or to several."""
    yield from each(_names(file), _preloaded(file), _node_port(file), _front(file))


def _names(file: StackFile) -> Iterator[Problem]:
    routing = file.settings.gateway.routing
    named = {f"{KEY}.routing.aliases.{alias}": model for alias, model in routing.aliases.items()}
    if routing.default is not None:
        yield from _strangers(file, {f"{KEY}.routing.default": routing.default})
    found = list(_strangers(file, named))
    yield from found
    if not found and (reason := ambiguous(served(file.entries, routing.aliases))):
        yield Problem(f"{KEY}.routing.aliases", reason)


def _preloaded(file: StackFile) -> Iterator[Problem]:
    residency = file.settings.gateway.residency
    for key, models in (("pin", residency.pin), ("preload", residency.preload)):
        yield from _strangers(file, {f"{KEY}.residency.{key}[{index}]": model for index, model in enumerate(models)})


def _strangers(file: StackFile, named: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each path whose model is not among larder:models."""
    ids = [entry.id for entry in file.entries] if named else []
    for path, model in named.items():
        if model not in ids:
            yield not_listed(path, model, ids)


def _node_port(file: StackFile) -> Iterator[Problem]:
    if file.settings.gateway.node_port is not None and file.settings.service_type == "ClusterIP":
        yield Problem(
            f"{KEY}.node-port", "has no effect with service ClusterIP. Fix: remove it, or set service: NodePort."
        )


def _front(file: StackFile) -> Iterator[Problem]:
    replicated = [name for name, block in file.read.items() if block.replicated > 1]
    stacks = file.stacks.values()
    if file.settings.gateway.front is False and needs_front(stacks, replicated):
        names = " and ".join(f"larder:{stack}" for stack in sorted(file.stacks))
        several = "" if needs_front(stacks) else " and its replicas"
        yield Problem(
            f"{KEY}.front",
            f"no gateway leads to all models of {names}{several} without a front. Fix: remove the key.",
        )
