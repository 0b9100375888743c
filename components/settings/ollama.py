"""larder:ollama: the Ollama stack."""

from .stack import ReplicatedStack


class Ollama(ReplicatedStack):
    """Where the Ollama engine runs and what it may take."""

    NAME = "ollama"
