"""A real Ollama over a store, as a pod runs it: not root, the store read-only, loopback, an empty home."""

import os
from pathlib import Path

from bench.processes import free_port
from tests.engines.process import Process, built, placed


def find() -> Path | None:
    """The binary that LARDER_OLLAMA names, else the newest the toolchain built."""
    named = os.environ.get("LARDER_OLLAMA")
    return Path(named) if named else built("ollama", "bin/ollama")


class Ollama(Process):
    """A server; use as a context manager. `folder` must be readable by everybody: as root it runs as nobody."""

    def __init__(self, binary: Path, store: Path, folder: Path, **more: str) -> None:
        self.store, port = store, free_port()
        # The engine is looked for at ../lib/ollama.
        placed(binary.parents[1] / "lib/ollama/llama-server", folder / "ollama/lib/ollama")
        env = {
            "OLLAMA_HOST": f"http://127.0.0.1:{port}",
            "OLLAMA_MODELS": str(store),
            "OLLAMA_NOPRUNE": "1",
            "OLLAMA_NO_CLOUD": "1",
            **more,
        }
        command = (placed(binary, folder / "ollama/bin"), "serve")
        super().__init__(command, port, folder, env, probe="/api/version")

    def maps_weights(self) -> bool:
        """Does an engine that Ollama started map a blob, rather than hold a copy of it?"""
        children = self.children()
        assert children, "no model is loaded"
        return any("sha256-" in Path(f"/proc/{pid}/maps").read_text() for pid in children)
