"""larder:ollama: the Ollama stack."""

from .stack import Stack


class Ollama(Stack):
    """Where the Ollama engine runs and what it may take."""

    NAME = "ollama"
