"""Checks across the blocks of stacks, which no block can make alone."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.weights import canonical

from .base import Known
from .cache import Cache
from .disks import disks
from .gateway import Gateway
from .images import Images
from .kserve import KServeSettings
from .names import choices, did_you_mean
from .node_pools import NodePoolSettings
from .ollama import OllamaSettings
from .residency import Residency
from .routing import Routing
from .served import served
from .shimmy import ShimmySettings
from .sources import NAMESPACE
from .stack import StackSettings

STACKS: dict[str, type[StackSettings]] = {
    stack.NAME: stack for stack in (OllamaSettings, ShimmySettings, KServeSettings)
}
"""Class of each stack's block, by its key; components/serving has the component of each."""
Images.admit(STACKS.values())


def models_of(stack: StackSettings, stacks: Iterable[StackSettings], models: Iterable[str]) -> tuple[str, ...]:
    """Return the models of a stack: those it names, or all that no other stack names."""
    others = {model for other in stacks if other is not stack for model in other.named}
    return tuple(model for model in models if (model in stack.named if stack.named else model not in others))


def served_by(stacks: Mapping[str, StackSettings], models: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the models of each stack: those it serves, or those that the manager may activate."""
    all_models = tuple(models)
    served = {name: models_of(stack, stacks.values(), all_models) for name, stack in stacks.items()}
    return {name: stack.answered(served[name]) for name, stack in stacks.items()}


def shared_out(known: Known, blocks: Mapping[str, Any]) -> Iterator[str]:
    """Yield every problem across the stacks: no stack, a stack without models or image, a model without a route.

    `blocks` has the blocks that could be read, by their fields' names.
    """
    if not known.stacks:
        *others, last = [NAMESPACE + name for name in STACKS]
        wanted = f"{', '.join(others)} or {last}"
        yield f"{others[0]}: there is no stack, so nothing serves models. Fix: write {wanted}."
        return
    stacks: dict[str, StackSettings] = {name: blocks[name] for name in STACKS if name in blocks}
    images: Images | None = blocks.get("images")
    for name, stack in stacks.items():
        if images is not None and not images.of(stack.runs):
            yield (
                f"{NAMESPACE}images: {NAMESPACE}{name} requires {stack.runs}. "
                "Fix: write name@sha256:<64 hex digits>; `make up` passes those of its own images."
            )
    if known.models is not None and known.stacks.keys() == stacks.keys():
        models = tuple(entry.id for entry in known.models)
        yield from _models(models, stacks)
        if "gateway" in blocks:
            answered = served_by(stacks, models)
            yield from _routes(blocks["gateway"].routing, known.models, answered)
            yield from _residency(blocks["gateway"].residency, stacks, answered)
    if "cache" in blocks and "node_pools" in blocks:
        yield from _reached(known, blocks["cache"], blocks["node_pools"], stacks)
    gateway = blocks.get("gateway", Gateway())
    for name, stack in stacks.items():
        if stack.pulling and (len(known.stacks) > 1 or gateway.front):
            yield (
                f"{NAMESPACE}{name}.pulls: has no effect behind a front, which leads only to the models of "
                f"larder:models. Fix: remove it, or the other stacks and {NAMESPACE}gateway.front."
            )


def _reached(
    known: Known, cache: Cache, pools: Mapping[str, NodePoolSettings], stacks: Mapping[str, StackSettings]
) -> Iterator[str]:
    """Yield a problem for each pool whose machines cannot hold the weights under the strategy in force."""
    models = {entry.id: entry.bytes for entry in known.models or ()}
    for disk in disks(cache, pools, stacks):
        if disk.cannot_hold(sum(models.values())):
            yield f"{disk.setting}: {disk.finding(models)}"
    for stack in stacks.values():
        if not stack.GATEWAY and stack.pool in pools:
            for block in cache.blocks:
                yield from block.pool_problems(stack.pool, pools[stack.pool].labels)


def _residency(
    residency: Residency, stacks: Mapping[str, StackSettings], answered: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Yield problems of the residency rules for engines that load on demand."""
    key = f"{NAMESPACE}gateway.residency"
    moved = {name: stack for name, stack in stacks.items() if ENGINES[stack.runs].loads_on_demand}
    for name, stack in moved.items():
        if problem := residency.problem(answered[name], more=stack.pulling):
            yield f"{key}.{problem} (for {NAMESPACE}{name})."
    here = [model for name in moved for model in answered[name]]
    for word, models in (("pin", residency.pin), ("preload", residency.preload)):
        if strangers := [model for model in models if model not in here]:
            yield f"{key}.{word}: {strangers[0]!r} is in no engine that loads on demand. Choices: {choices(here)}."


def _routes(
    routing: Routing, entries: tuple[CatalogEntry, ...], stacks: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Yield a problem for each default and rule that leads to a model without a stack."""
    key = f"{NAMESPACE}gateway.routing"
    ids = [model for models in stacks.values() for model in models]
    names = {canonical(name): model.id for model in served(entries, routing.aliases) for name in model.names()}
    targets = {f"{key}.rules[{index}].model": rule.model for index, rule in enumerate(routing.rules)}
    if routing.default:
        targets[f"{key}.default"] = routing.default
    for path, target in targets.items():
        model = names.get(canonical(target))
        if model is None:
            near = did_you_mean(target, [*ids, *routing.aliases])
            yield f"{path}: {target!r} names no model. {near}Choices: {choices(ids)}."
        elif model not in ids:
            yield f"{path}: no stack serves {model!r} now. Choices: {choices(ids)}."


def _models(models: tuple[str, ...], stacks: Mapping[str, StackSettings]) -> Iterator[str]:
    unnamed = [NAMESPACE + name for name, stack in stacks.items() if not stack.named]
    if len(unnamed) > 1:
        yield f"{unnamed[-1]}.models: is missing, as in {unnamed[0]}. Fix: list the models of one of the two stacks."
        return
    for name, stack in stacks.items():
        mine = models_of(stack, stacks.values(), models)
        if not mine:
            yield (f"{NAMESPACE}{name}: other stacks name all of larder:models. Fix: add a model, or remove the block.")
        if ENGINES[stack.runs].one_model and len(mine) > 1:
            yield (
                f"{NAMESPACE}{name}.models: engine {stack.runs} serves one model and answers every request with it, "
                f"but the stack has {', '.join(mine)}. Fix: name one, or choose engine llama-server."
            )
