"""larder:cache.shared-storage: a volume that every node mounts."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from larder_sidecar.catalog import CatalogEntry
from pydantic import AfterValidator, Field, model_validator

from .base import Block, ObjectName, Subdomain
from .prune import Prune
from .quantities import Size
from .room import roomy_for
from .strategy import Made, Need, StrategySettings, populates, share


def _exported(path: str) -> str:
    if ".." in PurePosixPath(path).parts:
        msg = f"{path!r} has '..' in it. Fix: write the exported folder itself."
        raise ValueError(msg)
    return path


class Nfs(Block):
    """A folder that an NFS server exports."""

    server: Annotated[str, Field(max_length=253, pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$")]
    """Name or address of the NFS server for the nodes."""
    path: Annotated[str, Field(max_length=1024, pattern=r"^/[A-Za-z0-9_.@+/-]*$"), AfterValidator(_exported)]
    """Absolute path of the exported folder; uid 1000 must be able to write there."""


class SharedStorageSettings(StrategySettings):
    """A volume that many nodes mount at once, as claim `shared-model-storage`."""

    NAME = "shared-storage"
    KEEPS = "share"
    HELP = "The shared volume, which is kept under every strategy; strategy shared-storage mounts it."
    NEEDS = (
        Need("a class or claim of that name", "preview, which reads it"),
        Need(
            "a volume that many nodes mount at once (ReadWriteMany)", "Job populate-shared-…, before any pod is moved"
        ),
        Need("uid 1000 may write to it", "Job populate-shared-…: its termination message"),
        Need("the Job reaches {sources}", "Job populate-shared-…: its termination message"),
        Need("NFS: the mount helper on every node (nfs-common, nfs-utils)", "events of the Job's pod: FailedMount"),
    )
    EXAMPLE = "{storage-class | nfs: {server, path} | claim, size}"

    nfs: Nfs | None = None
    """An NFS export, as a volume of our own; or storage-class, or claim."""
    storage_class: Subdomain | None = None
    """A class of the cluster that gives ReadWriteMany volumes (EFS, Filestore, Azure Files, …); or nfs, or claim."""
    claim: ObjectName | None = None
    """An existing ReadWriteMany claim of the namespace, which others may use too; or nfs, or storage-class."""
    size: Size
    """Size of the volume."""
    read: Literal["copy", "direct"] = "copy"
    """copy: each pod copies the weights to its node's disk first; direct: engines read the share, without mmap."""
    prune: Prune | None = None
    """Plans to prune from the share: {forget: [<digest>] | [others], dry-run}. Default: none."""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        sources = {"nfs": self.nfs, "storage-class": self.storage_class, "claim": self.claim}
        if len(named := [name for name, source in sources.items() if source is not None]) != 1:
            held = f"both {' and '.join(named)}" if named else f"none of {', '.join(sources)}"
            msg = (
                f"has {held}. Fix: write one of them: nfs: {{server, path}}, storage-class: a class that gives "
                "ReadWriteMany volumes, or claim: an existing claim."
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_others(self) -> Self:
        if self.prune and self.prune.forgets_others and not self.storage_class:
            msg = (
                "prune.forget: others may include plans of other stacks that use this share. "
                "Fix: name each plan to remove; with dry-run: true the Job lists the plans of the share."
            )
            raise ValueError(msg)
        return self

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that is right for these models and nodes."""
        return {"storage-class": "a-class-for-many-nodes", "size": roomy_for(sum(entry.bytes for entry in models))}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:
        """Describe the fetch of the weights."""
        return populates(made)

    @property
    def copies(self) -> bool:
        """Tell if each pod copies the weights first."""
        return self.read == "copy"

    @property
    def volume_size(self) -> str:
        """Return the size of the shared volume."""
        return self.size

    @property
    def pruning(self) -> Prune | None:
        """Return the plans to prune from the share."""
        return self.prune

    def place(self, total: int) -> str:
        """Describe the place of the weights."""
        copied = ", and a copy in each pod" if self.read == "copy" else ""
        return f"on shared storage, {share(total, self.size)}{copied}"
