"""Ollama's own API, as far as the gateway needs it."""

from .adapter import Adapter


class Ollama(Adapter):
    """One Ollama server: `/` says 'Ollama is running' as soon as it listens."""

    kind = "ollama"
    health_path = "/"
