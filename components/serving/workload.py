"""The Deployment of an engine behind a gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apps import v1 as apps

from ..caching import Weights
from ..manifest import (
    TMP,
    Container,
    PodSpec,
    Volume,
    VolumeMount,
    container_security,
    environment,
    labels,
    metadata,
    pod,
    scratch,
    selector,
    spread,
)
from ..node_pools import Placement, tolerations
from ..plan.sizing import EngineResources
from .gateway import drain_hook, gateway_sidecar, gateway_volume, probe, token_mount, token_volume

HOME = "/home/larder"
STARTUP_PERIOD = 2


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """Inputs of an engine's Deployment. The engine listens on loopback, behind the gateway."""

    name: str
    description: str
    image: str
    resources: EngineResources
    placement: Placement
    """Placement of its pods."""
    start_seconds: int
    """The longest time from the container's start until the engine answers, with the slowest disk that we accept."""
    grace_seconds: int
    """Time for requests in flight when the pod has to go."""
    replicas: int = 1
    command: tuple[str, ...] = ()
    """The command that replaces the image's entry point."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the pod; a change of them replaces it."""
    volumes: tuple[Volume, ...] = ()
    """Volumes of the pod in addition to those of the weights."""
    mounts: tuple[VolumeMount, ...] = ()
    """Mounts of the engine."""
    gateway_mounts: tuple[VolumeMount, ...] = ()
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    """Use of a token of the gateway -> the Secret that has it; None for a use without a token."""
    ready_period: int = 2
    """Period of the pod's readiness probe, in seconds."""
    live_period: int | None = None
    """Period of the engine's liveness probe, in seconds; None for an engine that exits if it fails."""


def engine_deployment(
    engine: EngineSpec,
    weights: Weights,
    *,
    sidecar_image: str,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> apps.Deployment:
    """Declare the Deployment of an engine with its weights and its gateway."""
    deadline = weights.wait_seconds + engine.start_seconds
    spec: apps.DeploymentSpecArgsDict = {
        "replicas": engine.replicas,
        "revision_history_limit": 2,
        "progress_deadline_seconds": deadline,
        "strategy": _rollout(overlap=weights.overlap),
        "selector": {"match_labels": selector(engine.name)},
        "template": {
            "metadata": {"labels": labels(engine.name), "annotations": dict(engine.annotations)},
            "spec": _pod(engine, weights, sidecar_image),
        },
    }
    # Longer than Kubernetes' own deadline, so that `up` reports the reason from Kubernetes.
    patience = f"{deadline + 60}s"
    return apps.Deployment(
        engine.name,
        metadata=metadata(engine.name, engine.description, of=engine.name, namespace=namespace),
        spec=spec,
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=[*weights.ready, *engine.placement.ready],
                custom_timeouts=pulumi.CustomTimeouts(create=patience, update=patience),
            ),
        ),
    )


def _rollout(*, overlap: bool) -> apps.DeploymentStrategyArgsDict:
    # If two pods cannot overlap, the old one ends first. Not by `Recreate`: after Pulumi has just created a Deployment,
    # the preview of that change fails, because no field manager owns the rollingUpdate that it would drop.
    surge, unavailable = (1, 0) if overlap else (0, 1)
    return {"type": "RollingUpdate", "rolling_update": {"max_surge": surge, "max_unavailable": unavailable}}


def _pod(engine: EngineSpec, weights: Weights, sidecar_image: str) -> PodSpec:
    home: Volume = {"name": "home", "empty_dir": {"size_limit": "64Mi"}}
    tokens = {use: secret for use, secret in engine.tokens.items() if secret}
    mounts = (*engine.gateway_mounts, *map(token_mount, tokens))
    secrets = (token_volume(use, secret) for use, secret in tokens.items())
    spec = pod(
        {
            "termination_grace_period_seconds": engine.grace_seconds,
            "affinity": engine.placement.affinity(weights.hosts),
            "init_containers": [
                *weights.init_containers,
                gateway_sidecar(sidecar_image, ready_period=engine.ready_period, mounts=mounts),
            ],
            "containers": [_container(engine, weights)],
            "volumes": [*weights.volumes, *engine.volumes, *secrets, gateway_volume(engine.name), home, scratch()],
        }
    )
    if engine.replicas > 1:
        spec["topology_spread_constraints"] = [spread(engine.name)]
    if tolerated := tolerations(engine.placement.taints):
        spec["tolerations"] = tolerated
    return spec


def _container(engine: EngineSpec, weights: Weights) -> Container:
    size = engine.resources
    mounts: list[VolumeMount] = [*weights.mounts, *engine.mounts]
    container: Container = {
        "name": engine.name,
        "image": engine.image if weights.image is None else weights.image,
        "args": list(engine.args),
        "env": environment({"HOME": HOME, **engine.env}),
        "startup_probe": probe("/enginez", period=STARTUP_PERIOD, failures=-(-engine.start_seconds // STARTUP_PERIOD)),
        # The engine cuts its streams at SIGTERM, so the gateway first waits until no request is in flight.
        "lifecycle": drain_hook(),
        "resources": {"requests": {"cpu": size.cpu, "memory": size.requested}, "limits": {"memory": size.memory}},
        "volume_mounts": [*mounts, {"name": "home", "mount_path": HOME}, {"name": TMP, "mount_path": "/tmp"}],  # noqa: S108
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }
    if engine.command:
        container["command"] = list(engine.command)
    if engine.live_period is not None:
        container["liveness_probe"] = probe("/enginez", period=engine.live_period, failures=6)
    return container
