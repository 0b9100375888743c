"""llama.cpp's llama-server in router mode: one process that starts another for each model it loads."""

from .adapter import Adapter


class LlamaServer(Adapter):
    """Healthy means the router: the first request that names a model loads it (--models-autoload)."""

    kind = "llama-server"
    health_path = "/health"
    # Without `reload` the router lists what it saw at its start: tools/server/server-models.cpp, get_router_models.
    names_path = "/models?reload=1"
    api = "/v1/"
