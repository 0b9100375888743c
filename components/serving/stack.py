"""Base classes of stacks: their common inputs, and the stack of one engine with its gateway."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

import pulumi
from larder_sidecar.config.manager import InferenceService

from ..caching import Weights
from ..component import Component
from ..manifest import selector
from ..node_pools import Placement
from ..plan.plan import EnginePlan, StackPlan
from ..settings.stack import StackSettings
from .gateway import gateway_config_map, gateway_policy, restart_annotations, stack_service
from .workload import EngineSpec, engine_deployment


@dataclass(frozen=True, kw_only=True)
class Site:
    """The values that all stacks of a platform share."""

    namespace: pulumi.Input[str]
    """Known after the namespace exists, so resources that use it wait for the namespace."""
    namespace_name: str
    sidecar: str
    """The sidecar image."""
    front: bool
    """True if separate gateways are before all stacks."""
    token_secret: str | None
    """The Secret with the token for mutating requests through a gateway; None if they are off."""
    budget_seconds: int
    """Time limit for moving all weights once."""


P = TypeVar("P", bound=StackPlan[StackSettings])
S = TypeVar("S", bound=StackSettings)


class Stack(Component, ABC, Generic[P]):
    """Engines that are deployed together, by a plan P."""

    SETTINGS: ClassVar[type[StackSettings]]
    """Its block and its facts."""

    def __init__(
        self,
        plan: P,
        weights: Weights,
        placement: Placement,
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(self.SETTINGS.NAME, opts)
        self.inference: InferenceService | None = None
        """The InferenceService that serves, whichever model it is, if the manager may apply it."""
        self.ready: tuple[pulumi.Resource, ...] = ()
        """Resources that come before it."""
        self.register_outputs(self.deploy(plan, weights, placement, site))

    @classmethod
    def pods(cls) -> Mapping[str, str]:
        """Return the labels of its pods."""
        return selector(cls.SETTINGS.NAME)

    @abstractmethod
    def deploy(self, plan: P, weights: Weights, placement: Placement, site: Site) -> Mapping[str, str]:
        """Register the resources of the stack, and return its outputs."""


class EngineStack(Stack[EnginePlan[S]], Generic[S]):
    """A stack of one engine on loopback, with the gateway in its pod."""

    READY_PERIOD: ClassVar[int] = 2
    """Period of the pod's readiness probe, in seconds."""
    NO_MMAP: ClassVar[Mapping[str, str]] = {}
    """Environment variables that make the engine read its files instead of mapping them."""
    LIVE_PERIOD: ClassVar[int | None] = None
    """Period of the engine's liveness probe, in seconds; None for an engine that exits if it fails."""

    def deploy(self, plan: EnginePlan[S], weights: Weights, placement: Placement, site: Site) -> Mapping[str, str]:
        """Register the gateway's file, the NetworkPolicy, the Service for the front, and the Deployment."""
        name, pulls = self.SETTINGS.NAME, plan.gateway.pulls
        config_map = gateway_config_map(plan.gateway, of=name, namespace=site.namespace, opts=self.child())
        sources = (*weights.sources, pulls.endpoint) if pulls else weights.sources
        policy = gateway_policy(name, front=site.front, sources=sources, namespace=site.namespace, opts=self.child())
        if site.front:
            stack_service(name, replicas=plan.replicas, namespace=site.namespace, opts=self.child())
        engine = EngineSpec(
            name=name,
            description="the engine, and the gateway as its sidecar",
            image=plan.image,
            resources=plan.size,
            replicas=plan.replicas,
            placement=placement,
            annotations=restart_annotations(plan.gateway),
            start_seconds=site.budget_seconds,
            grace_seconds=int(plan.gateway.drain.grace_seconds),
            ready_period=self.READY_PERIOD,
            live_period=self.LIVE_PERIOD,
            tokens={"api": site.token_secret},
        )
        engine, first = self.engine(engine, plan, site)
        if not weights.mmap:
            engine = replace(engine, env={**engine.env, **self.NO_MMAP})
        self.deployment = engine_deployment(
            engine,
            self.weights(weights, plan, placement),
            sidecar_image=site.sidecar,
            namespace=site.namespace,
            opts=self.child(pulumi.ResourceOptions(depends_on=[config_map, policy, *first])),
        )
        return {"deployment": name}

    @abstractmethod
    def engine(
        self, engine: EngineSpec, plan: EnginePlan[S], site: Site
    ) -> tuple[EngineSpec, tuple[pulumi.Resource, ...]]:
        """Return the engine with its start command, and the resources that must exist before it."""

    def weights(self, weights: Weights, plan: EnginePlan[S], placement: Placement) -> Weights:  # noqa: ARG002
        """Return the weights, adapted to this engine."""
        return weights
