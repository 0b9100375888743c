"""vLLM's own API, as far as the gateway needs it."""

from .adapter import Adapter


class Vllm(Adapter):
    """One vLLM server (vllm.entrypoints.openai.api_server): `/health` answers once the model is loaded."""

    kind = "vllm"
    health_path = "/health"
    api = "/v1/"
