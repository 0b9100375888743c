"""Checks of the stacks against each other, and against the images, the gateway and the disks."""

from collections.abc import Iterator, Mapping

from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.weights import canonical

from ..disks import disks
from ..names import choices, did_you_mean
from ..problem import Problem, each
from ..served import served
from ..sources import NAMESPACE
from ..stack_file import StackFile
from ..stacks import STACKS, models_of, served_by


def check(file: StackFile) -> Iterator[Problem]:
    """Yield every problem across the stacks: no stack, a stack without models or image, a model without a route."""
    if not file.stacks:
        *others, last = [NAMESPACE + name for name in STACKS]
        wanted = f"{', '.join(others)} or {last}"
        yield Problem(others[0], f"there is no stack, so nothing serves models. Fix: write {wanted}.")
        return
    yield from each(
        _images(file), _models(file), _routes(file), _residency(file), _disks(file), _pools(file), _pulls(file)
    )


def _images(file: StackFile) -> Iterator[Problem]:
    for name, stack in file.read.items():
        if not file.settings.images.of(stack.runs):
            yield Problem(
                f"{NAMESPACE}images",
                f"{NAMESPACE}{name} requires {stack.runs}. "
                "Fix: write name@sha256:<64 hex digits>; `make up` passes those of its own images.",
            )


def _models(file: StackFile) -> Iterator[Problem]:
    """Yield stacks whose models are not told apart, stacks without models, and engines with too many of them."""
    stacks, models = file.settings.blocks, [entry.id for entry in file.entries]
    unnamed = [stack.key() for stack in stacks.values() if not stack.named]
    if len(unnamed) > 1:
        yield Problem(
            f"{unnamed[-1]}.models",
            f"is missing, as in {unnamed[0]}. Fix: list the models of one of the two stacks.",
        )
        return
    for stack in stacks.values():
        mine = models_of(stack, stacks.values(), models)
        if not mine:
            yield Problem(stack.key(), "other stacks name all of larder:models. Fix: add a model, or remove the block.")
        if ENGINES[stack.runs].one_model and len(mine) > 1:
            yield Problem(
                f"{stack.key()}.models",
                f"engine {stack.runs} serves one model and answers every request with it, "
                f"but the stack has {', '.join(mine)}. Fix: name one, or choose engine llama-server.",
            )


def _answered(file: StackFile) -> Mapping[str, tuple[str, ...]]:
    return served_by(file.settings.blocks, [entry.id for entry in file.entries])


def _routes(file: StackFile) -> Iterator[Problem]:
    """Yield a problem for each default and rule that leads to a model without a stack."""
    key, routing = f"{NAMESPACE}gateway.routing", file.settings.gateway.routing
    ids = [model for models in _answered(file).values() for model in models]
    names = {canonical(name): model.id for model in served(file.entries, routing.aliases) for name in model.names()}
    targets = {f"{key}.rules[{index}].model": rule.model for index, rule in enumerate(routing.rules)}
    if routing.default is not None:
        targets[f"{key}.default"] = routing.default
    for path, target in targets.items():
        model = names.get(canonical(target))
        if model is None:
            near = did_you_mean(target, [*ids, *routing.aliases])
            yield Problem(path, f"{target!r} names no model. {near}Fix: choose one of {choices(ids)}.")
        elif model not in ids:
            yield Problem(path, f"no stack serves {model!r} now. Fix: choose one of {choices(ids)}.")


def _residency(file: StackFile) -> Iterator[Problem]:
    """Yield problems of the residency rules for engines that load on demand."""
    key, residency = f"{NAMESPACE}gateway.residency", file.settings.gateway.residency
    answered = _answered(file)
    moved = {name: stack for name, stack in file.settings.blocks.items() if ENGINES[stack.runs].loads_on_demand}
    for name, stack in moved.items():
        # A stack without models is a problem of its own.
        if answered[name] and (problem := residency.problem(answered[name], more=stack.pulling)):
            setting, text = problem
            yield Problem(f"{key}.{setting}", f"in {stack.key()}, {text}.")
    here = [model for name in moved for model in answered[name]]
    for word, models in (("pin", residency.pin), ("preload", residency.preload)):
        if strangers := [model for model in models if model not in here]:
            fix = f"choose one of {choices(here)}" if here else "remove the key"
            yield Problem(f"{key}.{word}", f"{strangers[0]!r} is in no engine that loads on demand. Fix: {fix}.")


def _disks(file: StackFile) -> Iterator[Problem]:
    """Yield a problem for each pool whose machines cannot hold the weights under the strategy in force."""
    models = {entry.id: entry.bytes for entry in file.entries}
    for disk in disks(file.settings.cache, file.settings.node_pools, file.read):
        if disk.cannot_hold(sum(models.values())):
            yield Problem(disk.setting, f"{disk.finding(models)}")


def _pools(file: StackFile) -> Iterator[Problem]:
    """Yield problems of the pools of KServe's pods with the weights."""
    pools = file.settings.node_pools
    for stack in file.read.values():
        for block in file.settings.cache.blocks if not stack.GATEWAY else ():
            yield from block.pool_problems(stack.pool, pools[stack.pool].labels)


def _pulls(file: StackFile) -> Iterator[Problem]:
    for stack in file.read.values():
        if stack.pulling and (len(file.stacks) > 1 or file.settings.gateway.front):
            yield Problem(
                f"{stack.key()}.pulls",
                "has no effect behind a front, which leads only to the models of larder:models. "
                f"Fix: remove it, or the other stacks and {NAMESPACE}gateway.front.",
            )
