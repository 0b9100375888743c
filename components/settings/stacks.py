"""Registry of the stacks, and the models of each."""

from collections.abc import Iterable, Mapping

from .images import Images
from .kserve import KServeSettings
from .ollama import OllamaSettings
from .shimmy import ShimmySettings
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
