"""The Ollama stack: the engine on loopback, its gateway beside it, and who may reach it."""

import pulumi

from ..caching import Weights
from ..caching.base import STORE
from ..component import Component
from ..names import ADDRESSES
from ..node_pools import Placement
from ..plan.plan import OllamaPlan
from ..settings import Settings
from .gateway import gateway_config_map, gateway_policy, restarts_with, stack_service
from .workload import EngineSpec, engine_deployment

NAME = "ollama"
KEEP_ALIVE = "30m"
"""Of a model that Ollama loads by itself, while the gateway beside it is away: residency is the gateway's."""


class Ollama(Component):
    """Ollama serving the models, reached through the gateway beside it."""

    TYPE = "larder:serving:Ollama"

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: OllamaPlan,
        weights: Weights,
        placement: Placement,
        *,
        budget_seconds: int,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        config_map = gateway_config_map(plan.gateway, of=NAME, namespace=namespace, opts=self.child())
        policy = gateway_policy(
            NAME, front=settings.front, sources=weights.sources, namespace=namespace, opts=self.child()
        )
        if settings.front:
            stack_service(NAME, replicas=plan.replicas, namespace=namespace, opts=self.child())
        engine = EngineSpec(
            name=NAME,
            description="the engine, and the gateway as its sidecar",
            image=settings.images.ollama,
            args=("serve",),
            annotations=restarts_with(plan.gateway),
            env=_environment(len(plan.models)),
            resources=plan.size,
            replicas=plan.replicas,
            placement=placement,
            start_seconds=budget_seconds,
            grace_seconds=int(plan.gateway.drain.grace_seconds),
            tokens={"api": settings.gateway_secret},
        )
        self.deployment = engine_deployment(
            engine,
            weights,
            sidecar_image=settings.images.sidecar,
            namespace=namespace,
            opts=self.child(pulumi.ResourceOptions(depends_on=[config_map, policy])),
        )
        self.register_outputs({"deployment": NAME})


def _environment(models: int) -> dict[str, str]:
    return {
        "OLLAMA_HOST": ADDRESSES["ollama"],
        "OLLAMA_MODELS": STORE,
        # Ollama deletes blobs that it thinks unused at its start; the store is ours, read-only, and may hold more.
        "OLLAMA_NOPRUNE": "1",
        # Names that end in :cloud would be sent to ollama.com.
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_MAX_LOADED_MODELS": str(models),
        # Memory scales with it; the catalog counts one.
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_KEEP_ALIVE": KEEP_ALIVE,
    }
