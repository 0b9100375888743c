"""One adapter an engine: the only places that know an engine's own API."""

from collections.abc import Mapping

from .adapter import Adapter, Ask, EngineError, Health
from .gateway import Gateway
from .llama_server import LlamaServer
from .ollama import Ollama
from .resident import Loaded, Resident
from .shimmy import Shimmy
from .vllm import Vllm

ADAPTERS: Mapping[str, type[Adapter]] = {
    adapter.kind: adapter for adapter in (Ollama, LlamaServer, Shimmy, Vllm, Gateway)
}
"""By the words of `engines[].kind`; the only place that picks a class."""

__all__ = ["ADAPTERS", "Adapter", "Ask", "EngineError", "Health", "Loaded", "Resident"]
