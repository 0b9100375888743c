"""The Shimmy stack: llama-server, or Shimmy itself, over plain GGUF files, and the download service in its gateway."""

from dataclasses import replace

import pulumi
from pulumi_kubernetes.core import v1 as core

from ..caching import Weights
from ..component import Component
from ..manifest import Volume, VolumeMount, content_name, metadata
from ..names import ADDRESSES
from ..node_pools import Placement
from ..plan.plan import ShimmyPlan, most_loaded
from ..settings import Settings
from . import llama_server
from .gateway import gateway_config_map, gateway_policy, restarts_with, stack_service
from .workload import EngineSpec, engine_deployment

NAME = "shimmy"
READY_PERIOD, LIVE_PERIOD = 5, 10
"""Seconds; the download service was first run with these."""
# Shimmy 2.6 has no handler for SIGTERM, which the kernel keeps from a container's first process that has none: each pod
# took its whole grace period to go. The shell has one, and Shimmy, its child, ends with the container.
AS_A_CHILD = """trap "exit 143" TERM; "$0" "$@" & wait $!"""


class Shimmy(Component):
    """llama-server or Shimmy serving the models, reached through the gateway beside it."""

    TYPE = "larder:serving:Shimmy"

    def __init__(
        self,
        name: str,
        settings: Settings,
        plan: ShimmyPlan,
        weights: Weights,
        placement: Placement,
        *,
        budget_seconds: int,
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        pulls = plan.stack.pulls
        config_map = gateway_config_map(plan.gateway, of=NAME, namespace=namespace, opts=self.child())
        sources = (*weights.sources, settings.hub.endpoint) if pulls else weights.sources
        policy = gateway_policy(NAME, front=settings.front, sources=sources, namespace=namespace, opts=self.child())
        if settings.front:
            stack_service(NAME, replicas=plan.replicas, namespace=namespace, opts=self.child())
        engine = EngineSpec(
            name=NAME,
            description="the engine, and the gateway as its sidecar",
            image=settings.images.of(plan.stack.runs),
            resources=plan.size,
            replicas=plan.replicas,
            placement=placement,
            annotations=restarts_with(plan.gateway),
            start_seconds=budget_seconds,
            grace_seconds=int(plan.gateway.drain.grace_seconds),
            ready_period=READY_PERIOD,
            live_period=LIVE_PERIOD,
            tokens={"api": settings.gateway_secret},
        )
        first: list[pulumi.Resource] = [config_map, policy]
        if plan.stack.engine == "shimmy":
            engine = _shimmy(engine, plan)
        else:
            name, presets = self._presets(plan, namespace)
            first.append(presets)
            engine = _with_pulls(_router(engine, plan, name), plan)
        # A claim may be one node's at a time, and the next pod may land on another.
        together = len(placement.hosts) == 1 or not (pulls and pulls.claim)
        self.deployment = engine_deployment(
            engine,
            replace(weights, overlap=weights.overlap and together),
            sidecar_image=settings.images.sidecar,
            namespace=namespace,
            opts=self.child(pulumi.ResourceOptions(depends_on=first)),
        )
        self.register_outputs({"deployment": NAME})

    def _presets(self, plan: ShimmyPlan, namespace: pulumi.Input[str]) -> tuple[str, core.ConfigMap]:
        """models.ini by its name, which is its content's: a pod that runs must not find other models at a reload."""
        text = llama_server.presets(plan.models)
        name = content_name("larder-llama-server", text)
        return name, core.ConfigMap(
            llama_server.FILE,
            metadata=metadata(name, "the models of llama-server, each with its context", of=NAME, namespace=namespace),
            data={llama_server.FILE: text},
            opts=self.child(),
        )


def _shimmy(engine: EngineSpec, plan: ShimmyPlan) -> EngineSpec:
    file = llama_server.weights_file(plan.models[0].id)
    arguments = ("serve", "--bind", ADDRESSES["shimmy"], "--model-path", file)
    command = ("/bin/sh", "-c", AS_A_CHILD, "shimmy")
    return replace(engine, command=command, args=arguments, env={"SHIMMY_BASE_GGUF": file})


def _router(engine: EngineSpec, plan: ShimmyPlan, presets: str) -> EngineSpec:
    pulled = plan.gateway.pulls.folder if plan.gateway.pulls else None
    return replace(
        engine,
        args=llama_server.arguments(most_loaded(plan.gateway) or len(plan.models), pulled=pulled),
        volumes=({"name": "presets", "config_map": {"name": presets}},),
        mounts=({"name": "presets", "mount_path": llama_server.FOLDER, "read_only": True},),
    )


def _with_pulls(engine: EngineSpec, plan: ShimmyPlan) -> EngineSpec:
    """The folder that the gateway writes and the engine reads, and the token that the gateway shows to the hub."""
    pulls, wanted = plan.stack.pulls, plan.gateway.pulls
    if pulls is None or wanted is None:
        return engine
    kept: Volume = {"name": "pulled", "empty_dir": {"size_limit": pulls.room}}
    if pulls.claim:
        kept = {"name": "pulled", "persistent_volume_claim": {"claim_name": pulls.claim}}
    folder: VolumeMount = {"name": "pulled", "mount_path": wanted.folder}
    return replace(
        engine,
        volumes=(*engine.volumes, kept),
        mounts=(*engine.mounts, {**folder, "read_only": True}),
        gateway_mounts=(folder,),
        tokens={**engine.tokens, "hub": pulls.hub_secret},
    )
