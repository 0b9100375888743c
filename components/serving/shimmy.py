"""The Shimmy stack: llama-server, or Shimmy itself, over plain GGUF files, and the download service in its gateway."""

from dataclasses import replace

import pulumi
from larder_sidecar.config.engines import ENGINES
from pulumi_kubernetes.core import v1 as core

from ..caching import Weights
from ..manifest import Volume, VolumeMount, content_name, metadata
from ..node_pools import Placement
from ..plan.plan import EnginePlan, max_loaded_models
from ..settings.shimmy import ShimmySettings
from . import llama_server
from .stack import EngineStack, Site
from .workload import EngineSpec

# Shimmy 2.6 has no handler for SIGTERM, and the kernel does not deliver it to a first process without one: each pod
# took its whole grace period to end. The shell has a handler, and Shimmy, its child, ends with the container.
AS_A_CHILD = """trap "exit 143" TERM; "$0" "$@" & wait $!"""


ShimmyPlan = EnginePlan[ShimmySettings]


class Shimmy(EngineStack[ShimmySettings]):
    """llama-server or Shimmy serving the models, reached through the gateway in its pod."""

    TYPE = "larder:serving:Shimmy"
    SETTINGS = ShimmySettings
    NO_MMAP = llama_server.NO_MMAP
    READY_PERIOD = 5  # both periods are from the first run of the download service
    LIVE_PERIOD = 10

    def engine(
        self, engine: EngineSpec, plan: ShimmyPlan, site: Site
    ) -> tuple[EngineSpec, tuple[pulumi.Resource, ...]]:
        """Start Shimmy with its one model, or llama-server with a file of all of them."""
        if ENGINES[plan.stack.runs].one_model:
            return _shimmy(engine, plan), ()
        name, presets = self._presets(plan, site.namespace)
        return _with_pulls(_router(engine, plan, name), plan), (presets,)

    def weights(self, weights: Weights, plan: ShimmyPlan, placement: Placement) -> Weights:
        """Let pods overlap only if both can mount the pulled files."""
        pulls = plan.stack.pulls
        # A claim may attach to one node at a time, and the next pod may land on another.
        together = len(placement.hosts) == 1 or not (pulls and pulls.claim)
        return replace(weights, overlap=weights.overlap and together)

    def _presets(self, plan: ShimmyPlan, namespace: pulumi.Input[str]) -> tuple[str, core.ConfigMap]:
        """Declare models.ini under a name with its hash: a running pod must not read other models at a reload."""
        text = llama_server.presets(plan.models)
        name, of = content_name("larder-llama-server", text), self.SETTINGS.NAME
        return name, core.ConfigMap(
            llama_server.FILE,
            metadata=metadata(name, "the models of llama-server, each with its context", of=of, namespace=namespace),
            data={llama_server.FILE: text},
            opts=self.child(),
        )


def _shimmy(engine: EngineSpec, plan: ShimmyPlan) -> EngineSpec:
    file = llama_server.weights_file(plan.models[0].id)
    arguments = ("serve", "--bind", ENGINES["shimmy"].address, "--model-path", file)
    command = ("/bin/sh", "-c", AS_A_CHILD, "shimmy")
    return replace(engine, command=command, args=arguments, env={"SHIMMY_BASE_GGUF": file})


def _router(engine: EngineSpec, plan: ShimmyPlan, presets: str) -> EngineSpec:
    pulled = plan.gateway.pulls.folder if plan.gateway.pulls else None
    return replace(
        engine,
        args=llama_server.arguments(max_loaded_models(plan.gateway) or len(plan.models), pulled=pulled),
        volumes=({"name": "presets", "config_map": {"name": presets}},),
        mounts=({"name": "presets", "mount_path": llama_server.FOLDER, "read_only": True},),
    )


def _with_pulls(engine: EngineSpec, plan: ShimmyPlan) -> EngineSpec:
    """Add the folder that the gateway writes and the engine reads, and the token for the hub."""
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
