"""The Ollama stack: the engine on loopback, with the gateway in its pod."""

from dataclasses import replace

import pulumi
from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.layout import STORE

from ..plan.plan import EnginePlan
from ..settings.ollama import OllamaSettings
from . import llama_server
from .stack import EngineStack, Site
from .workload import EngineSpec

KEEP_ALIVE = "30m"
"""Keep-alive of models that Ollama loads itself while its gateway is down; otherwise the gateway decides."""


class Ollama(EngineStack[OllamaSettings]):
    """Ollama serving the models, reached through the gateway in its pod."""

    TYPE = "larder:serving:Ollama"
    SETTINGS = OllamaSettings
    NO_MMAP = llama_server.NO_MMAP  # Ollama hands its environment on to the llama-server that it starts

    def engine(
        self,
        engine: EngineSpec,
        plan: EnginePlan[OllamaSettings],
        site: Site,  # noqa: ARG002
    ) -> tuple[EngineSpec, tuple[pulumi.Resource, ...]]:
        """Start `ollama serve`."""
        return replace(engine, args=("serve",), env=_environment(len(plan.models))), ()


def _environment(models: int) -> dict[str, str]:
    return {
        "OLLAMA_HOST": ENGINES["ollama"].address,
        "OLLAMA_MODELS": STORE,
        # At its start Ollama deletes blobs that it considers unused; our store is read-only and may hold more.
        "OLLAMA_NOPRUNE": "1",
        # Otherwise Ollama sends requests for names that end in :cloud to ollama.com.
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_MAX_LOADED_MODELS": str(models),
        # Memory scales with it, and the catalog plans for one.
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_KEEP_ALIVE": KEEP_ALIVE,
    }
