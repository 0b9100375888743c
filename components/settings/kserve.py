"""larder:kserve: vLLM on AMD GPUs, run by KServe; one model at a time is active."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from ..names import INFERENCE_SERVICE
from .base import Known
from .image_volume import ImageVolumeSettings
from .node_local import NodeLocalSettings
from .stack import StackSettings, refuse_foreign
from .strategies import STRATEGIES

GPU = "amd.com/gpu"
"""The resource of AMD's device plugin: what vLLM's ROCm build runs on."""
OURS = ("--model", "--served-model-name", "--host", "--port")
"""Arguments that say where clients and weights are: the program's own."""


def _more(argument: str) -> str:
    if not argument.startswith("--") or argument.partition("=")[0] in OURS:
        msg = f"{argument!r} is not taken. Write --name=value; {', '.join(OURS)} are set by the program."
        raise ValueError(msg)
    return argument


EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]


class KServeSettings(StackSettings):
    """Model, pool and arguments of vLLM."""

    NAME = "kserve"
    HELP = "The KServe stack, vLLM on ROCm: {pool: <pool with GPUs>, active: <catalog id>}. Deployed if it is there."
    IMAGES: ClassVar[Mapping[str, str]] = {
        "vllm": ("Image of vLLM for ROCm; `make up` passes a stand-in. Default: none; required by larder:kserve.")
    }
    GATEWAY = False

    active: str | None = Field(None, validate_default=True)
    """The model that is served now, by catalog id; another one replaces it in place. Not beside larder:manager."""
    gpus: Annotated[int, Field(ge=1, le=16)] = 1
    """GPUs of the predictor, amd.com/gpu; the model is split over them."""
    args: list[Annotated[str, AfterValidator(_more)]] = Field(default_factory=list)
    """More arguments of vLLM's API server, as in --max-num-seqs=64."""
    env: Mapping[EnvName, str] = Field(default_factory=dict)
    """Environment of vLLM, as in HSA_OVERRIDE_GFX_VERSION: 11.5.1. Not for secrets."""
    device_groups: tuple[Annotated[int, Field(ge=1, le=65533)], ...] = (44, 109)
    """Numbers of the groups video and render on the nodes: they own /dev/kfd and /dev/dri."""

    @property
    def runs(self) -> str:
        """Return its engine, by the word that larder:images has for it."""
        return "vllm"

    @property
    def upstream(self) -> tuple[str, str]:
        """Return how the front reaches the predictor."""
        return "vllm", f"http://{INFERENCE_SERVICE}-predictor"

    def answered(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """Return the active model; without one, all that the manager may choose from."""
        return (self.active,) if self.active else models

    @property
    def named(self) -> tuple[str, ...]:
        """Return the models that can be activated; without `models` the active one alone."""
        return tuple(self.models or ([self.active] if self.active else ()))

    @field_validator("pool")
    @classmethod
    def _pool_has_gpus(cls, pool: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.gpu_pools is not None and pool not in known.gpu_pools:
            msg = (
                f"pool {pool!r} offers no {GPU}, which vLLM's ROCm build runs on. Choose a pool that does, say so by "
                f"`accelerator: {GPU}` in larder:node-pools.{pool}, or serve the model by larder:ollama."
            )
            raise ValueError(msg)
        if known and known.strategy is not None and not STRATEGIES[known.strategy].GIVES_URI:
            # Nodes of a cloud come and go, disks and all.
            nearest = (
                ImageVolumeSettings if known.cluster and known.cluster.makes_machines else NodeLocalSettings
            ).NAME
            msg = (
                f"strategy {known.strategy!r} brings weights into a pod of ours, and KServe's pods are not: choose "
                f"{nearest} in larder:cache.strategy, or serve the model by larder:ollama."
            )
            raise ValueError(msg)
        return pool

    @field_validator("active")
    @classmethod
    def _active_is_its_own(cls, active: str | None, info: ValidationInfo) -> str | None:
        known = Known.of(info)
        if known and known.manager and active is not None:
            msg = "is for larder:manager to choose, by POST /models/activate. Drop this line, or that block."
            raise ValueError(msg)
        if active is None:
            if known and not known.manager:
                msg = "is missing. Write the catalog id of the model to serve, or add larder:manager, which chooses it."
                raise ValueError(msg)
            return None
        refuse_foreign(active, info, by=cls.NAME)
        models = info.data.get("models")
        if models and active not in models:
            msg = f"{active!r} is not among the models of this block. List it there, or choose: {', '.join(models)}."
            raise ValueError(msg)
        return active
