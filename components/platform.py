"""All components of one stack file."""

from collections.abc import Sequence
from typing import Any

import pulumi
from pulumi_kubernetes.apiregistration.v1.APIService import APIService
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.provider import Provider

from . import node_pools
from .caching import Demand, Prune, WeightsConfig, deliver
from .component import Component
from .manifest import metadata
from .model_manager import ModelManager
from .names import FRONT
from .plan.plan import Plan
from .serving import STACKS, Site, Stack
from .serving.front import Front
from .serving.gateway import Entry
from .settings import Settings
from .settings.manager import API_TOKEN, TOKEN_SECRET
from .settings.node_pools import taints_of
from .settings.quantities import bandwidth_bytes

KSERVE = ("kserve-0.20-or-later", "v1beta1.serving.kserve.io")
"""Name in errors, and the object that every API server with InferenceServices has."""


def connect(settings: Settings) -> list[pulumi.ProviderResource]:
    """Return the providers of the cluster (the named context of KUBECONFIG, never the current one) and of its cloud."""
    context = settings.cluster.context
    kubernetes = Provider(
        "cluster",
        context=context,
        # Without it a rotated kubeconfig would look like another cluster and replace everything.
        cluster_identifier=context,
        # ConfigMaps with a fixed name change in place; the others carry their content in their name.
        enable_config_map_mutable=True,
        # A renewed token reaches its pod without a rollout.
        enable_secret_mutable=True,
    )
    return [kubernetes, *node_pools.connect(settings.cluster)]


class Platform(Component):
    """The platform: node pools, namespace, data volumes, weights, engines and their entry."""

    TYPE = "larder:platform:Platform"

    def __init__(self, name: str, settings: Settings, plan: Plan, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, opts)
        site = Site(
            namespace=self._namespace(settings),
            namespace_name=settings.cluster.namespace,
            sidecar=settings.images.sidecar,
            front=plan.front is not None,
            token_secret=settings.gateway_secret,
            budget_seconds=plan.budget_seconds,
        )
        if settings.makes_token:
            self._token(site.namespace)
        pools = node_pools.declare(settings, self.child())
        demand = Demand(
            plan=plan.weights,
            config=WeightsConfig("weights", plan.weights, namespace=site.namespace, opts=self.child()),
            image=site.sidecar,
            folders=plan.kserve is not None,
            budget_seconds=site.budget_seconds,
            namespace=site.namespace,
            placement=next((pools[engine.stack.pool] for engine in plan.engines.values()), None),
        )
        weights = deliver(settings, demand, self.child())
        stacks = [
            STACKS[word](stack, weights, pools[stack.stack.pool], site, self.child())
            for word, stack in plan.stacks.items()
        ]
        self._manager(settings, plan, stacks, site)
        if block := settings.cache.prune:
            after = [*weights.ready, *stacks]
            Prune("prune", block, demand, weights.stores, after=after, opts=self.child())
        self.outputs: dict[str, pulumi.Input[object]] = {
            "url": self._entry(settings, plan, site).url,
            "node_port": settings.node_port,
            "namespace": settings.cluster.namespace,
            "strategy": weights.strategy,
            "weights": {
                "digest": plan.weights.digest(),
                "bytes": plan.weights.total_bytes(),
                "models": list(settings.models),
            },
            "default_model": settings.default_model,
        }
        self.register_outputs(self.outputs)

    def _manager(self, settings: Settings, plan: Plan, stacks: Sequence[Stack[Any]], site: Site) -> None:
        """Declare the model manager if a block configures it; require KServe if anything needs it."""
        # The InferenceService of the manager's own block, or of the stack whose model it chooses.
        served = next((stack for stack in stacks if stack.inference), None)
        inference = served.inference if served else plan.inference
        if inference is None:
            return
        # Read, never created: if it is missing, the preview fails with its name before anything is deployed.
        APIService.get(*KSERVE, opts=self.child())
        if manager := settings.manager:
            ModelManager(
                "manager",
                manager,
                settings.images,
                inference,
                min_bandwidth=bandwidth_bytes(settings.cache.min_bandwidth),
                taints=taints_of(manager.state.node, settings.node_pools),
                token_secret=manager.api_token.secret if manager.api_token else TOKEN_SECRET,
                after=served.ready if served else (),
                namespace=site.namespace,
                opts=self.child(),
            )

    def _entry(self, settings: Settings, plan: Plan, site: Site) -> Entry:
        """Declare the address of the platform, and the front behind it if the plan has one."""
        pods = {word: STACKS[word].pods() for word in plan.stacks}
        front = Front("front", plan.front, pods, site, self.child()) if plan.front else None
        return Entry(
            "entry",
            service=settings.service_type,
            node_port=settings.node_port,
            behind=FRONT if front else next(iter(plan.engines)),
            # Clients reach the front only after it is ready.
            after=[front.deployment] if front else [],
            namespace=site.namespace,
            namespace_name=site.namespace_name,
            opts=self.child(),
        )

    def _token(self, namespace: pulumi.Input[str]) -> None:
        """Declare the token that changes need. Pulumi keeps its value encrypted."""
        project, _, key = API_TOKEN.partition(":")
        core.Secret(
            "token",
            metadata=metadata(TOKEN_SECRET, "the token that mutating requests need", namespace=namespace),
            string_data={"token": pulumi.Config(project).require_secret(key)},
            opts=self.child(),
        )

    def _namespace(self, settings: Settings) -> pulumi.Output[str]:
        prepares = any(volume.prepare_path for volume in settings.local_volumes)
        kept = settings.keeps_data
        namespace = core.Namespace(
            "namespace",
            metadata=metadata(
                settings.cluster.namespace,
                "all namespaced objects of this stack",
                # Only the hostPath of the Job that creates a volume's folder violates the standard.
                more_labels={} if prepares else {"pod-security.kubernetes.io/enforce": "restricted"},
            ),
            # Deleting a namespace deletes the claims in it.
            opts=self.child(pulumi.ResourceOptions(protect=kept, retain_on_delete=kept)),
        )
        return namespace.metadata.apply(lambda known: str(known.name))
