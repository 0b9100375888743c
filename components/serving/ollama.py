"""The Ollama stack: the engine on loopback, its gateway beside it, and who may reach it."""

import pulumi
import pulumi_kubernetes as k8s

from ..caching import Weights
from ..caching.base import STORE
from ..component import Component
from ..manifest import metadata, selector
from ..network import CLIENTS, gateway_ingress, hub_egress
from ..node_pools import Placement
from ..planning.plan import FRONT, OLLAMA_ADDRESS, OllamaPlan
from ..settings import Settings
from .gateway import gateway_config_map, restarts_with
from .workload import EngineSpec, engine_deployment

NAME = "ollama"
KEEP_ALIVE = "30m"
"""How long an idle model stays loaded."""


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
        config_map = gateway_config_map(plan.gateway, namespace=namespace, opts=self.child())
        policy = k8s.networking.v1.NetworkPolicy(
            "policy",
            metadata=metadata(
                "larder-ollama",
                "clients reach the gateway, Prometheus its admin port; the pod reaches the hub where it fetches",
                of=NAME,
                namespace=namespace,
            ),
            spec={
                "pod_selector": {"match_labels": selector(NAME)},
                "policy_types": ["Ingress", "Egress"],
                "ingress": gateway_ingress(of=FRONT if settings.front else None),
                "egress": hub_egress(settings.hub.endpoint) if weights.fetches else [],
            },
            opts=self.child(),
        )
        engine = EngineSpec(
            name=NAME,
            description="the engine, and the gateway as its sidecar",
            image=settings.images.ollama,
            args=("serve",),
            annotations=restarts_with(plan.gateway),
            env=_environment(len(plan.models)),
            resources=plan.size,
            placement=placement,
            start_seconds=budget_seconds,
            grace_seconds=int(plan.gateway.drain.grace_seconds),
        )
        self.deployment = engine_deployment(
            engine,
            weights,
            sidecar_image=settings.images.sidecar,
            namespace=namespace,
            opts=self.child(pulumi.ResourceOptions(depends_on=[config_map, policy])),
        )
        if settings.front:
            self._service(namespace)
        self.register_outputs({"deployment": NAME})

    def _service(self, namespace: pulumi.Input[str]) -> k8s.core.v1.Service:
        return k8s.core.v1.Service(
            "service",
            metadata=metadata(
                NAME,
                "how the front reaches the gateway beside the engine",
                of=NAME,
                namespace=namespace,
                annotations={"pulumi.com/skipAwait": "true"},
            ),
            spec={
                "selector": selector(NAME),
                "ports": [{"name": "http", "port": 80, "target_port": CLIENTS, "protocol": "TCP"}],
            },
            opts=self.child(),
        )


def _environment(models: int) -> dict[str, str]:
    return {
        "OLLAMA_HOST": OLLAMA_ADDRESS,
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
