"""larder:shimmy: models as plain GGUF files, and pulls of more models by clients."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.gateway import Pulls as PullsConfig
from larder_sidecar.config.layout import TOKENS
from pydantic import ValidationInfo, field_validator

from .base import Block, ObjectName
from .quantities import Size
from .stack import EngineStackSettings

DEFAULT_SIZE = "20Gi"


class Pulls(Block):
    """The download service: `POST /v1/api/pull` brings a GGUF file from the hub into /models."""

    claim: ObjectName | None = None
    """An existing claim for the pulled files. Default: none, they are deleted with the pod."""
    size: Size | None = None
    """Room for pulled files without a claim, as in 20Gi. Default: 20Gi."""
    hub_secret: ObjectName | None = None
    """An existing Secret with the hub's token under its key `token`. Default: none, only public repositories."""

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: str | None, info: ValidationInfo) -> str | None:
        if size is not None and info.data.get("claim") is not None:
            msg = "has no effect with a claim, which has its own size. Fix: remove one of the two."
            raise ValueError(msg)
        return size

    @property
    def room(self) -> str:
        """Return the limit for pulled files on the node's disk."""
        return self.size or DEFAULT_SIZE


class ShimmySettings(EngineStackSettings):
    """The llama-server or Shimmy stack: its engine, pool, models, resources and pulls."""

    NAME = "shimmy"
    HELP = "The llama-server or Shimmy stack: {pool: <pool of larder:node-pools>}. It is deployed if the block exists."
    IMAGES: ClassVar[Mapping[str, str]] = {
        "llama-server": "Image whose entry point is llama-server. Default: none; required by larder:shimmy.",
        "shimmy": "Image with Shimmy 2 on PATH, a shell and a Vulkan driver. Default: none; required by engine shimmy.",
    }
    # Figures of the first deployments of the download service, for models that are unknown yet.
    FLOOR: ClassVar[Mapping[str, str]] = {"memory": "4Gi", "cpu": "500m", "requested": "1Gi"}

    engine: Literal["llama-server", "shimmy"] = "llama-server"
    """The engine: llama-server (any number of models) or shimmy (one model, computed on a Vulkan device)."""
    pulls: Pulls | None = None
    """The download service; {} takes all defaults. Default: none, the models are those of larder:models."""

    @field_validator("pulls")
    @classmethod
    def _check_pulls(cls, pulls: Pulls | None, info: ValidationInfo) -> Pulls | None:
        engine = info.data.get("engine")
        if pulls is not None and engine and not ENGINES[engine].notices_files:
            msg = f"{engine} reads its one model at its start, and no file that is pulled later. Fix: use llama-server."
            raise ValueError(msg)
        if pulls is not None and info.data.get("replicas", 1) > 1:
            msg = "a pull brings a file to only one replica. Fix: remove it, or larder:shimmy.replicas."
            raise ValueError(msg)
        return pulls

    @property
    def runs(self) -> str:
        """Return the key of its engine in larder:images."""
        return self.engine

    @property
    def pulling(self) -> bool:
        """Tell if the download service is on."""
        return self.pulls is not None

    def pull_service(self, endpoint: str) -> PullsConfig | None:
        """Return the download service for the gateway's file."""
        if self.pulls is None:
            return None
        return PullsConfig(endpoint=endpoint, hub_token_file=f"{TOKENS}/hub/token" if self.pulls.hub_secret else None)

    def warnings(self) -> Iterator[str]:
        """Yield a warning if the catalog's figures do not hold for the engine."""
        if self.engine == "shimmy":
            yield "larder:shimmy.engine: shimmy computes in F32; the catalog counts memory for llama.cpp."
