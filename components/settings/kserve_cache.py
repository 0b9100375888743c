"""larder:cache.kserve-cache: weights that KServe keeps on the disks of nodes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelId
from pydantic import AfterValidator, Field

from .names import choices
from .node_local import folder
from .problem import Problem, each
from .quantities import Size
from .room import roomy_for
from .sources import NAMESPACE
from .strategy import Made, Need, StrategySettings, share

if TYPE_CHECKING:
    from .stack_file import StackFile

AGENT_LABEL = ("kserve/localmodel", "worker")
"""Label of the nodes that run KServe's agent (config/localmodelnodes of KServe 0.20)."""
AGENT_FOLDER = "/models"
"""Folder of the models on a node, by the agent's manifest."""


def _check_address(uri: str) -> str:
    if re.search(r"[?#]", uri):
        msg = (
            "has a query or a fragment, which may hold secrets, and it is written into an object in plain text. "
            "Fix: write the address alone, as in hf://org/repo:revision."
        )
        raise ValueError(msg)
    return uri


SourceUri = Annotated[
    str,
    Field(pattern=r"^(oci|hf|s3|gs|https)://[A-Za-z0-9][^\s@]{0,500}(@sha256:[0-9a-f]{64})?$"),
    AfterValidator(_check_address),
]


def _agent_folder(path: str) -> str:
    return path if path == AGENT_FOLDER else folder(path)


class KServeCacheSettings(StrategySettings):
    """LocalModelNodeGroup `larder` and a LocalModelCache for each model, filled by KServe's agent."""

    NAME = "kserve-cache"
    KEEPS = "node"
    MOUNTED = False
    GIVES_URI = True
    HELP = "KServe's own cache, which is kept under every strategy; strategy kserve-cache serves from it."
    NEEDS = (
        Need("KServe 0.20, LocalModelCache among its definitions", "preview, which reads the definition"),
        Need(
            "localModel.enabled: true in ConfigMap inferenceservice-config, KServe's localmodel controller and agent",
            "up: LocalModelCache stays without copies until its deadline",
        ),
        Need("nodes with label kserve/localmodel: worker", "preview: labels of the pool"),
        Need(
            "KServe's agent reaches {sources}, or the sources named", "status of the LocalModelCache: NodeDownloadError"
        ),
    )
    EXAMPLE = "{size}"

    size: Size
    """Limit for KServe's use of each node's disk; at least the weights of larder:models."""
    path: Annotated[str, AfterValidator(_agent_folder)] = AGENT_FOLDER
    """The folder on the nodes: the hostPath of KServe's agent."""
    sources: Mapping[ModelId, SourceUri] = Field(default_factory=dict)
    """Catalog id -> address of the model for KServe, as in hf://org/repo:revision. Default: its file on larder:hub."""

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """Return a block that is right for these models and nodes."""
        return {"size": roomy_for(sum(entry.bytes for entry in models))}

    @classmethod
    def fetched(cls, made: Sequence[Made]) -> str:  # noqa: ARG003
        """Describe the fetch of the weights."""
        return "by KServe's agent on each node; nothing where it has it already"

    @property
    def volume_size(self) -> str:
        """Return the limit for KServe's use of each node's disk."""
        return self.size

    def pool_problems(self, pool: str, labels: Mapping[str, str]) -> Iterator[Problem]:
        """Yield a problem if the nodes lack the label of KServe's agent."""
        label, value = AGENT_LABEL
        if labels.get(label) != value:
            yield Problem(
                f"{NAMESPACE}node-pools.{pool}.labels",
                f"lack {label}: {value}, without which KServe's agent does not run. "
                f"Fix: write labels: {{{label}: {value}}}.",
            )

    def check(self, file: "StackFile") -> Iterator[Problem]:
        """Yield a problem if the disk is too small, or if KServe cannot fetch a model from one address."""
        # It counts under every strategy: KServe fetches a model as soon as its LocalModelCache exists.
        yield from each(self.check_room(file), self._check_sources(file))

    def check_in_force(self, file: "StackFile") -> Iterator[Problem]:  # noqa: ARG002
        """Yield nothing more."""
        yield from ()

    def _check_sources(self, file: "StackFile") -> Iterator[Problem]:
        many = [e.id for e in file.entries if (len(e.files) > 1 or e.oci) and e.id not in self.sources]
        if many:
            yield Problem(
                f"{self.key()}.sources",
                f"KServe fetches one URL for each model, but {choices(many)} has several files or is an "
                "artifact. Fix: name its source, as in hf://org/repo:revision, or choose strategy node-local.",
            )

    def place(self, total: int) -> str:
        """Describe the place of the weights."""
        return f"on the nodes with KServe's agent, {share(total, self.size)}; KServe fetches and Larder does not verify"
