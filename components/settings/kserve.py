"""larder:kserve: vLLM on AMD GPUs, run by KServe, with one active model at a time."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from ..names import INFERENCE_SERVICE
from .image_volume import ImageVolumeSettings
from .node_local import NodeLocalSettings
from .problem import Problem, each
from .stack import StackSettings
from .strategies import STRATEGIES

if TYPE_CHECKING:
    from .stack_file import StackFile

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

    active: str | None = None
    """Catalog id of the model to serve; another one replaces it in place. It is required without larder:manager."""
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

    def check(self, file: "StackFile") -> Iterator[Problem]:
        """Yield problems as well of its GPUs, of the strategy, and of the active model."""
        yield from each(
            super().check(file), self._check_gpus(file), self._check_strategy(file), self._check_active(file)
        )

    def _check_gpus(self, file: "StackFile") -> Iterator[Problem]:
        pool = file.settings.node_pools.get(self.pool)
        if pool and not pool.accelerator:
            yield Problem(
                f"{self.key()}.pool",
                f"pool {self.pool!r} has no {GPU}, which vLLM's ROCm build requires. Fix: choose a pool whose nodes "
                f"have it; write `accelerator: {GPU}` in larder:node-pools.{self.pool} if its nodes do; or "
                "serve the model by larder:ollama.",
            )

    def _check_strategy(self, file: "StackFile") -> Iterator[Problem]:
        strategy = file.settings.cache.strategy
        if not STRATEGIES[strategy].GIVES_URI:
            # A cloud replaces nodes together with their disks.
            nearest = (ImageVolumeSettings if file.on_cloud else NodeLocalSettings).NAME
            yield Problem(
                f"{self.key()}.pool",
                f"strategy {strategy!r} brings no weights into KServe's pods. Fix: choose {nearest} in "
                "larder:cache.strategy, or serve the model by larder:ollama.",
            )

    def _check_active(self, file: "StackFile") -> Iterator[Problem]:
        path, managed = f"{self.key()}.active", "manager" in file.written
        if self.active is None:
            if not managed:
                yield Problem(
                    path, "is missing. Fix: write the catalog id of the model to serve, or add larder:manager."
                )
            return
        if managed:
            yield Problem(
                path,
                "larder:manager chooses the model, by POST /models/activate. Fix: remove this key, or that block.",
            )
        yield from each(self.check_own(file, path, self.active))
        if self.models and self.active not in self.models:
            yield Problem(
                path,
                f"{self.active!r} is not among the models of this block. Fix: list it there, or choose: "
                f"{', '.join(self.models)}.",
            )
