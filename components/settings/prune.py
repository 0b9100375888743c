"""`prune` of a data volume: which plans its store may forget."""

from collections.abc import Sequence
from typing import Annotated

from larder_sidecar.config.weights import FIRST_PULL
from pydantic import Field

from .base import Block, Known
from .weights_plan import weights_plan

OTHERS = "others"
"""All plans but the one in force, as `fetch --forget` has it."""


class Prune(Block):
    """A Job takes out of the volume what only forgotten plans wanted, after every engine has moved."""

    forget: Annotated[
        list[Annotated[str, Field(pattern=rf"^({OTHERS}|[0-9a-f]{{12,64}})$")]], Field(min_length=1, max_length=32)
    ]
    """Plans that nobody wants any more, each by 12 or more hex digits of its digest, in quotes; or [others]."""
    dry_run: bool = False
    """Remove nothing, and tell what would go."""

    @property
    def forgets_others(self) -> bool:
        """Tell whether every plan is forgotten that is not the one in force."""
        return OTHERS in self.forget


def refuse_own(prune: Prune | None, known: Known) -> None:
    """Raises ValueError where the plan in force is to be forgotten."""
    if prune is None or not known.models:
        return
    # No digest depends on where files come from, but that of a file which nobody has hashed; then the Job finds out.
    plan = weights_plan(known.models, "https://any.hub")
    if any(file.sha256 == FIRST_PULL for model in plan.models for file in model.files):
        return
    if own := _named(prune.forget, plan.digest()):
        msg = (
            f"prune.forget: {own} is the plan of larder:models, which the engines are to serve. "
            "Name a plan that nobody wants any more: the Job lists those that are there with dry-run: true."
        )
        raise ValueError(msg)


def _named(words: Sequence[str], digest: str) -> str | None:
    return next((word for word in words if digest.startswith(word)), None)
