"""llama-server in router mode: its arguments, and the file that lists its models."""

from collections.abc import Iterable

from larder_sidecar.catalog import CatalogEntry
from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.layout import STORE, gguf_path

FOLDER = "/etc/larder/llama-server"
FILE = "models.ini"
NO_MMAP = {"LLAMA_ARG_LOAD_MODE": "none", "LLAMA_ARG_NO_MMAP": "1"}
"""llama.cpp reads the first; before --load-mode it read the second."""
PULLED_CONTEXT = 4096
"""Context of a pulled model, in tokens: its memory was not planned for a longer one."""


def weights_file(model: str) -> str:
    """Return the path of the weights of a model, for an engine that takes files."""
    return f"{STORE}/{gguf_path(model)}"


def presets(entries: Iterable[CatalogEntry]) -> str:
    """Return models.ini: each model with the context that its memory is counted at."""
    # By default it caches 8 GiB of prompts and several conversations in memory: the catalog plans for one.
    lines = ["version = 1", "[*]", "parallel = 1", "cache-ram = 0", f"ctx-size = {PULLED_CONTEXT}"]
    for entry in entries:
        lines += [f"[{entry.id}]", f"model = {weights_file(entry.id)}", f"ctx-size = {entry.context}"]
    return "\n".join(lines) + "\n"


def arguments(models: int, *, pulled: str | None = None) -> tuple[str, ...]:
    """Return the arguments of the router. It holds no more models than planned: a pulled one takes another's place."""
    host, _, port = ENGINES["llama-server"].address.rpartition(":")
    folder = ("--models-dir", pulled) if pulled else ()
    listens = ("--host", host, "--port", port, "--no-webui", "--offline")
    return (*listens, "--models-preset", f"{FOLDER}/{FILE}", "--models-max", str(models), *folder)
