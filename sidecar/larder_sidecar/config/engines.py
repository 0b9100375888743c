"""All engines, with the facts that the program and the sidecar share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from .base import Choices


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """One kind of engine, or of gateway in an engine's place."""

    adapter: str
    """The class below larder_sidecar.engines that talks to it, as module.Class."""
    loads_on_demand: bool = False
    """True if it loads and unloads models when the gateway says so; its adapter is a Resident then."""
    notices_files: bool = False
    """True if it serves files that are added while it runs."""
    one_model: bool = False
    """True if it serves one model, and answers with it for any other."""
    address: str = ""
    """`host:port` on which it listens in a pod of ours: loopback, so that only the gateway in its pod reaches it."""
    listens_by: str = ""
    """The option or the variable that sets its listen address."""


ENGINES: dict[str, EngineFacts] = {
    "ollama": EngineFacts(
        adapter="ollama.Ollama", loads_on_demand=True, address="127.0.0.1:11434", listens_by="OLLAMA_HOST"
    ),
    "llama-server": EngineFacts(
        adapter="llama_server.LlamaServer",
        loads_on_demand=True,
        notices_files=True,
        address="127.0.0.1:8081",
        listens_by="--host",
    ),
    "shimmy": EngineFacts(adapter="shimmy.Shimmy", one_model=True, address="127.0.0.1:8081", listens_by="--bind"),
    "vllm": EngineFacts(adapter="vllm.Vllm"),
    "gateway": EngineFacts(adapter="gateway.Gateway"),
}
"""Facts by the values of `engines[].kind`; the only list of engines."""
EngineKind = Annotated[str, Choices(ENGINES)]


def engines_with(fact: str, engines: Mapping[str, EngineFacts] = ENGINES) -> list[str]:
    """Return the kinds for which a fact is true."""
    return [kind for kind, facts in engines.items() if getattr(facts, fact)]
