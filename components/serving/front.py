"""The front: separate gateways before all stacks, which route each request to the stack that serves its model."""

from collections.abc import Mapping

import pulumi
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.config.layout import CLIENTS
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as networking
from pulumi_kubernetes.policy import v1 as disruption

from ..component import Component
from ..manifest import labels, metadata, pod, scratch, selector, spread
from ..names import FRONT
from ..network import Egress, dns_egress, gateway_ingress
from .gateway import drain_hook, gateway_config_map, gateway_container, gateway_volume, restart_annotations
from .stack import Site

REPLICAS = 2


class Front(Component):
    """Gateways before all stacks, which route each request to the stack that serves its model."""

    TYPE = "larder:serving:Front"

    def __init__(
        self,
        name: str,
        config: GatewayConfig,
        pods: Mapping[str, Mapping[str, str]],
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the front. `pods` maps each engine of its file to the labels of the engine's pods."""
        super().__init__(name, opts)
        namespace = site.namespace
        config_map = gateway_config_map(config, of=FRONT, namespace=namespace, opts=self.child())
        policy = networking.NetworkPolicy(
            "policy",
            metadata=metadata(
                "larder-front",
                "clients reach the front, Prometheus its admin port; the front reaches the stacks",
                of=FRONT,
                namespace=namespace,
            ),
            spec={
                "pod_selector": {"match_labels": selector(FRONT)},
                "policy_types": ["Ingress", "Egress"],
                "ingress": gateway_ingress(),
                "egress": [dns_egress(), *(_to(pods[engine.name]) for engine in config.engines)],
            },
            opts=self.child(),
        )
        disruption.PodDisruptionBudget(
            "budget",
            metadata=metadata(FRONT, "drains end one of the gateways at a time", of=FRONT, namespace=namespace),
            spec={"max_unavailable": 1, "selector": {"match_labels": selector(FRONT)}},
            opts=self.child(),
        )
        self.deployment = apps.Deployment(
            FRONT,
            metadata=metadata(FRONT, "the gateways before all stacks", of=FRONT, namespace=namespace),
            spec={
                "replicas": REPLICAS,
                "revision_history_limit": 2,
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 0}},
                "selector": {"match_labels": selector(FRONT)},
                "template": {
                    "metadata": {"labels": labels(FRONT), "annotations": restart_annotations(config)},
                    "spec": _pod(site.sidecar, grace_seconds=int(config.drain.grace_seconds)),
                },
            },
            opts=self.child(pulumi.ResourceOptions(depends_on=[config_map, policy])),
        )
        self.register_outputs({"deployment": FRONT})


def _to(pods: Mapping[str, str]) -> Egress:
    return {
        "ports": [{"port": CLIENTS, "protocol": "TCP"}],
        "to": [{"pod_selector": {"match_labels": dict(pods)}}],
    }


def _pod(image: str, *, grace_seconds: int) -> core.PodSpecArgsDict:
    return pod(
        {
            "termination_grace_period_seconds": grace_seconds,
            "topology_spread_constraints": [spread(FRONT)],
            "containers": [
                {**gateway_container(image), "lifecycle": drain_hook()},
            ],
            "volumes": [gateway_volume(FRONT), scratch()],
        }
    )
