"""Disk, memory and time that a plan requests, and the warnings for an operator before `up`."""

from collections.abc import Iterator
from typing import NamedTuple

from larder_sidecar.config.residency import Residency
from larder_sidecar.config.routing import Routing, stops_at_lines
from larder_sidecar.config.weights import FIRST_PULL

from ..settings import Settings
from ..settings.kserve import GPU
from ..settings.quantities import lasting, readable, size_bytes
from ..settings.shimmy import ShimmySettings
from ..settings.stack import StackSettings
from .plan import EnginePlan, KServePlan, Plan, max_loaded_models
from .room import replicas_without_nodes, shortages
from .sizing import required_bytes
from .storage_classes import about_classes


class Asked(NamedTuple):
    """One request of a plan."""

    subject: str
    """Its subject: disk, loaded, memory, cpu, gpu or time."""
    text: str


def admission(settings: Settings, plan: Plan) -> list[Asked]:
    """Return the requests of the plan."""
    total, alone = plan.weights.total_bytes(), len(plan.engines) == 1
    longest = f"{plan.budget_seconds} s at most to move all weights once ({settings.cache.min_bandwidth} or faster)"
    return [
        Asked("disk", f"{readable(total)} of weights {settings.cache.block.place(total)}"),
        *(asked for name, stack in plan.engines.items() for asked in _engine(name, stack, alone=alone)),
        *(_kserve(plan.kserve) if plan.kserve else ()),
        Asked("time", longest),
    ]


def _engine(name: str, plan: EnginePlan[StackSettings], *, alone: bool) -> Iterator[Asked]:
    who = "the engine" if alone else f"the engine of {name}"
    if plan.replicas > 1:
        who = f"each of {plan.replicas} replicas of {who}"
    memory = size_bytes(plan.size.memory)
    if rules := plan.gateway.residency:
        yield Asked("loaded", f"{_resident(rules, len(plan.models))} in {who}")
    twice = readable(2 * memory)
    yield Asked("memory", f"{readable(memory)} for {who}; {twice} on its node while one pod follows another")
    yield Asked("cpu", f"{plan.size.cpu} requested for {who}, no limit")


def _resident(rules: Residency, models: int) -> str:
    how_many = f"{rules.max_models} of {models} models at a time"
    return f"{how_many}, each for {lasting(rules.keep_alive)} after its last request (residency {rules.strategy})"


def _kserve(plan: KServePlan) -> Iterator[Asked]:
    stack, size = plan.stack, plan.size
    yield Asked("gpu", f"{stack.gpus} {GPU} in pool {stack.pool} for vLLM; the old pod ends before the next one starts")
    yield Asked("memory", f"{readable(size_bytes(size.memory))} and {size.cpu} cpu on the GPU's node for vLLM")


def _about_rules(settings: Settings) -> Iterator[str]:
    rules = Routing(rules=settings.gateway.routing.rules)
    names = rules.names()
    for earlier, later in rules.shadowed():
        yield (
            f"larder:gateway.routing.rules[{later}]: {names[later]} never applies: {names[earlier]} before it "
            "matches all of its requests. Fix: remove it, or put it first."
        )
    for index, (name, rule) in enumerate(zip(names, rules.rules, strict=True)):
        if rule.pattern and stops_at_lines(rule.pattern):
            yield (
                f"larder:gateway.routing.rules[{index}].pattern: `.` of {name} stops at the end of a line, but a "
                "message may have several. Fix: begin the pattern with (?s); to limit a length, use max-characters."
            )


def about_weights(settings: Settings, plan: Plan) -> Iterator[str]:
    """Yield warnings about the place of the weights: room, replicas, the class of a volume, the cluster."""
    yield from shortages(settings)
    yield from replicas_without_nodes(settings, plan)
    yield from about_classes(settings)
    yield from settings.cache.block.warnings(settings.cluster.version)


def warnings(settings: Settings, plan: Plan) -> Iterator[str]:
    """Yield warnings about allowed settings."""
    yield from about_weights(settings, plan)
    served = {entry.id for entry in settings.served} | {
        model for block in settings.blocks.values() for model in block.named
    }
    if unserved := [model for model in settings.models if model not in served]:
        yield f"larder:models: {', '.join(unserved)}: no stack serves it, but its weights are fetched."
    unseen = sorted({m.id for m in plan.weights.models for f in m.files if f.sha256 == FIRST_PULL})
    if unseen:
        yield f"larder:models: {', '.join(unseen)}: no known sha256; the first pull records the hub's."
    for name, stack in plan.engines.items():
        if size_bytes(stack.size.memory) < (needed := required_bytes(stack.models, max_loaded_models(stack.gateway))):
            yield (
                f"larder:{name}.memory: {stack.size.memory} is less than the {readable(needed)} that models loaded "
                "together need by the catalog, and the engine would be killed. Fix: lower "
                "larder:gateway.residency.max-models."
            )
    yield from _about_rules(settings)
    for block in settings.blocks.values():
        yield from block.warnings()
    yield from _about_tokens(settings)
    if settings.hub.endpoint.startswith("http://"):
        yield f"larder:hub.endpoint: {settings.hub.endpoint} is not encrypted; sha256 still verifies the weights."


def _about_tokens(settings: Settings) -> Iterator[str]:
    block = settings.of(ShimmySettings)
    if block is None or block.pulls is None:
        return
    api = None if settings.makes_token and not settings.gateway.auth.secret else settings.gateway_secret
    for key, secret in (("gateway.auth.secret", api), ("shimmy.pulls.hub-secret", block.pulls.hub_secret)):
        if secret:
            yield (
                f"larder:{key}: the pod waits until Secret {secret} exists. Fix: kubectl -n "
                f"{settings.cluster.namespace} create secret generic {secret} --from-literal=token=…"
            )
