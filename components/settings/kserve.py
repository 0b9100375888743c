"""larder:kserve: vLLM on AMD GPUs, run by KServe, with one active model at a time."""

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
"""Resource of AMD's device plugin, which vLLM's ROCm build requires."""
OURS = ("--model", "--served-model-name", "--host", "--port")
"""Arguments that the program sets itself, for the address and the weights."""


def _more(argument: str) -> str:
    if not argument.startswith("--") or argument.partition("=")[0] in OURS:
        msg = f"{argument!r} is not allowed. Fix: write --name=value; the program sets {', '.join(OURS)}."
        raise ValueError(msg)
    return argument


EnvName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]


class KServeSettings(StackSettings):
    """The KServe stack: the active model, its GPUs, and arguments and environment of vLLM."""

    NAME = "kserve"
    HELP = "vLLM, run by KServe: {pool: <pool with GPUs>, active: <catalog id>}. It is deployed if the block exists."
    IMAGES: ClassVar[Mapping[str, str]] = {
        "vllm": ("Image of vLLM for ROCm; `make up` passes a stand-in. Default: none; required by larder:kserve.")
    }
    GATEWAY = False

    active: str | None = Field(None, validate_default=True)
    """Catalog id of the model to serve, without larder:manager; another one replaces it in place. Default: none."""
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
        """Return the key of its engine in larder:images."""
        return "vllm"

    @property
    def upstream(self) -> tuple[str, str]:
        """Return the kind and the URL by which the front reaches the predictor."""
        return "vllm", f"http://{INFERENCE_SERVICE}-predictor"

    def answered(self, models: tuple[str, ...]) -> tuple[str, ...]:
        """Return the active model; without one, all models that the manager may activate."""
        return (self.active,) if self.active else models

    @property
    def named(self) -> tuple[str, ...]:
        """Return the models that can be activated; without `models`, only the active one."""
        return tuple(self.models or ([self.active] if self.active else ()))

    @field_validator("pool")
    @classmethod
    def _check_gpus(cls, pool: str, info: ValidationInfo) -> str:
        known = Known.of(info)
        if known and known.gpu_pools is not None and pool not in known.gpu_pools:
            msg = (
                f"pool {pool!r} has no {GPU}, which vLLM's ROCm build requires. Fix: choose a pool that has it, write "
                f"`accelerator: {GPU}` in larder:node-pools.{pool}, or serve the model by larder:ollama."
            )
            raise ValueError(msg)
        if known and known.strategy is not None and not STRATEGIES[known.strategy].GIVES_URI:
            # A cloud replaces nodes together with their disks.
            nearest = (
                ImageVolumeSettings if known.cluster and known.cluster.makes_machines else NodeLocalSettings
            ).NAME
            msg = (
                f"strategy {known.strategy!r} brings no weights into KServe's pods. Fix: choose {nearest} in "
                "larder:cache.strategy, or serve the model by larder:ollama."
            )
            raise ValueError(msg)
        return pool

    @field_validator("active")
    @classmethod
    def _check_active(cls, active: str | None, info: ValidationInfo) -> str | None:
        known = Known.of(info)
        if known and known.manager and active is not None:
            msg = "larder:manager chooses the model, by POST /models/activate. Fix: remove this key, or that block."
            raise ValueError(msg)
        if active is None:
            if known and not known.manager:
                msg = "is missing. Fix: write the catalog id of the model to serve, or add larder:manager."
                raise ValueError(msg)
            return None
        refuse_foreign(active, info, by=cls.NAME)
        models = info.data.get("models")
        if models and active not in models:
            msg = (
                f"{active!r} is not among the models of this block. Fix: list it there, or choose: {', '.join(models)}."
            )
            raise ValueError(msg)
        return active
