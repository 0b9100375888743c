"""larder:cache.kserve-cache: weights that KServe itself keeps on the disks of nodes."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.weights import ModelId
from pydantic import AfterValidator, Field

from .base import Known
from .names import choices
from .node_local import folder
from .quantities import Size
from .room import roomy_for
from .strategy import StrategyBlock, refuse_too_small, share

KSERVE_CACHE = "kserve-cache"
AGENT_LABEL = ("kserve/localmodel", "worker")
"""KServe's agent, which downloads, runs on nodes with this label (config/localmodelnodes of KServe 0.20)."""
AGENT_FOLDER = "/models"
"""Where that agent's manifest keeps models on its node."""


def _an_address_alone(uri: str) -> str:
    if re.search(r"[?#]", uri):
        msg = (
            "has a query or a fragment, where secrets stand, and the object that it goes into lies open. "
            "Write the address alone, as in hf://org/repo:revision."
        )
        raise ValueError(msg)
    return uri


SourceUri = Annotated[
    str,
    Field(pattern=r"^(oci|hf|s3|gs|https)://[A-Za-z0-9][^\s@]{0,500}(@sha256:[0-9a-f]{64})?$"),
    AfterValidator(_an_address_alone),
]


def _agent_folder(path: str) -> str:
    return path if path == AGENT_FOLDER else folder(path)


class KServeCache(StrategyBlock):
    """LocalModelNodeGroup `larder` and a LocalModelCache for each model, filled by KServe's agent."""

    EXAMPLE = "{size}"
    ALWAYS = True  # KServe fetches from the moment that it is told of a model

    size: Size
    """How much of each node's disk KServe may fill; at least the weights of larder:models."""
    path: Annotated[str, AfterValidator(_agent_folder)] = AGENT_FOLDER
    """The folder on the nodes: the hostPath of KServe's agent."""
    sources: Mapping[ModelId, SourceUri] = Field(default_factory=dict)
    """Catalog id -> where KServe finds the model, as in hf://org/repo:revision. Default: its one file on larder:hub."""

    @classmethod
    def example(cls, models: Sequence[CatalogEntry], hosts: Sequence[str]) -> dict[str, Any]:  # noqa: ARG003
        """A block that is right for these models and nodes."""
        return {"size": roomy_for(sum(entry.bytes for entry in models))}

    def check(self, known: Known) -> None:
        """The weights must fit, and KServe must be able to name each model by one address."""
        refuse_too_small(self.size, known)
        many = [e.id for e in known.models or () if (len(e.files) > 1 or e.oci) and e.id not in self.sources]
        if many:
            msg = (
                f"sources: KServe fetches one URL a model, and {choices(many)} has several files, or is an artifact. "
                "Name a source that holds it, as in hf://org/repo:revision, or choose strategy node-local."
            )
            raise ValueError(msg)

    def place(self, total: int) -> str:
        """Where the weights are."""
        return f"on the nodes with KServe's agent, {share(total, self.size)}; KServe fetches and Larder does not verify"
