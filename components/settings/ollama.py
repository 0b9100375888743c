"""larder:ollama: the Ollama stack."""

from collections.abc import Mapping
from typing import ClassVar

from .stack import EngineStackSettings


class OllamaSettings(EngineStackSettings):
    """The Ollama stack: its pool, models, resources and replicas."""

    NAME = "ollama"
    HELP = "The Ollama stack: {pool: <pool of larder:node-pools>}. It is deployed if the block exists."
    IMAGES: ClassVar[Mapping[str, str]] = {
        "ollama": "Image of Ollama, or one built like it. Default: none; required by larder:ollama."
    }
