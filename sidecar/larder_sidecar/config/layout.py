"""Paths and ports that the program writes into pods and the sidecar uses in them. Each is defined here alone."""

from pathlib import PurePosixPath

CLIENTS, ADMIN = 8080, 9090
"""Ports of a gateway and of a manager: for clients; for kubelet and Prometheus."""
STORE = "/weights/ollama"
"""Folder of the weights in an engine's pod under every strategy: OLLAMA_MODELS, with blobs/ and manifests/."""
GGUF = "gguf"
"""Folder in the store with a file a model, for engines that take a path."""
STATE = ".larder"
"""Folder in the store with what the sidecar itself records."""
CONFIG_FOLDER, CONFIG_FILE = "/etc/larder/weights", "weights.json"
"""Mount of the ConfigMap with the plan, and its file."""
TOKENS = "/run/secrets/larder"
"""Folder of the tokens: `api/token` permits changes, `hub/token` is for the hub, `token` is the manager's."""


def gguf_path(model: str) -> str:
    """Return the path in a store of a model's file, for engines that take a path."""
    return str(PurePosixPath(GGUF, f"{model}.gguf"))


def marker_path(digest: str) -> str:
    """Return the path in a store of the done marker of the plan `digest`."""
    return str(PurePosixPath(STATE, f"{digest}.json"))
