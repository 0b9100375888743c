"""`prune` of a data volume: the plans whose files a Job removes."""

from collections.abc import Sequence
from typing import Annotated

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import FIRST_PULL
from pydantic import Field

from .base import Block
from .weights_plan import weights_plan

OTHERS = "others"
"""Word for all plans but the one in force, as in `fetch --forget others`."""


class Prune(Block):
    """Plans to prune: a Job removes the files that only they need, after every engine has rolled out."""

    forget: Annotated[
        list[Annotated[str, Field(pattern=rf"^({OTHERS}|[0-9a-f]{{12,64}})$")]], Field(min_length=1, max_length=32)
    ]
    """Plans to remove, each by 12 or more hex digits of its digest, in quotes; or [others]."""
    dry_run: bool = False
    """List the files to remove, and keep them."""

    @property
    def forgets_others(self) -> bool:
        """Tell if every plan but the one in force is pruned."""
        return OTHERS in self.forget


def forgets_own(prune: Prune, entries: Sequence[CatalogEntry]) -> str | None:
    """Return the problem of a `forget` that names the plan in force, which has these entries; None without one."""
    # A plan's digest depends on the URLs only if a file has no sha256 yet; then the Job refuses.
    plan = weights_plan(entries, "https://any.hub")
    if any(file.sha256 == FIRST_PULL for model in plan.models for file in model.files):
        return None
    if own := _named(prune.forget, plan.digest()):
        return (
            f"{own} is the plan of larder:models, which is in force. "
            "Fix: name another plan; with dry-run: true the Job lists the plans of the volume."
        )
    return None


def _named(words: Sequence[str], digest: str) -> str | None:
    return next((word for word in words if digest.startswith(word)), None)
