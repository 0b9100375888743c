"""Adapter of vLLM's own API, as far as the gateway needs it."""

from .adapter import COMMON, COUNTING, EMBEDDING, RERANKING, Adapter


class Vllm(Adapter):
    """One vLLM server (vllm.entrypoints.openai.api_server): `/health` answers once the model is loaded."""

    kind = "vllm"
    health_path = "/health"
    paths = COMMON | EMBEDDING | COUNTING | RERANKING | {"/v2/rerank", "/score", "/v1/score", "/classify", "/pooling"}
