"""The gateway: its configuration file, the native sidecar that reads it, and the Service that clients use."""

from collections.abc import Iterable, Sequence

import pulumi
from larder_sidecar.config.gateway import DRAIN, GatewayConfig
from larder_sidecar.config.layout import ADMIN, CLIENTS, TOKENS
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.networking import v1 as networking

from ..component import Component
from ..manifest import (
    TMP,
    Container,
    Volume,
    VolumeMount,
    container_security,
    content_name,
    environment,
    metadata,
    selector,
)
from ..names import FRONT
from ..network import gateway_ingress, sources_egress
from ..settings.clusters import ServiceType

FOLDER = "/etc/larder/gateway"
FILE = "gateway.json"


def config_map_name(of: str) -> str:
    """Return the name of a ConfigMap. It depends on no other stack: a moved one would be created while it exists."""
    return {"ollama": "larder-gateway", FRONT: "larder-front"}.get(of, f"larder-gateway-{of}")


def gateway_config_map(
    config: GatewayConfig, *, of: str, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> core.ConfigMap:
    """Declare the file of a stack's gateway under its fixed name. It changes in place, and replaces no pod.

    A running gateway takes names and rules from it within two minutes; everything else is in `restart_annotations`.
    """
    return core.ConfigMap(
        "gateway.json",
        metadata=metadata(
            config_map_name(of), "the models the gateway answers for, and its limits", namespace=namespace
        ),
        data={FILE: config.to_json()},
        opts=opts,
    )


def restart_annotations(config: GatewayConfig) -> dict[str, str]:
    """Return annotations that replace a pod when its gateway cannot take a change while it runs.

    Names and rules are not among it: they reach the gateway while it runs.
    """
    return {"larder/serves": content_name(config.place, config.fixed())}


def gateway_volume(of: str) -> Volume:
    """Return the volume of the file: a directory, so that the kubelet can renew the file under the mount."""
    return {"name": "gateway-config", "config_map": {"name": config_map_name(of)}}


def token_volume(use: str, secret: str) -> Volume:
    """Return the volume of the token that the gateway uses for `use`."""
    # Not `optional`: a gateway without the token would exit at once, and the pod now names the Secret it waits for.
    return {"name": f"{use}-token", "secret": {"secret_name": secret, "items": [{"key": "token", "path": "token"}]}}


def token_mount(use: str) -> VolumeMount:
    """Return the mount of that token."""
    return {"name": f"{use}-token", "mount_path": f"{TOKENS}/{use}", "read_only": True}


def gateway_sidecar(image: str, *, ready_period: int = 2, mounts: Iterable[VolumeMount] = ()) -> Container:
    """Return the native sidecar: it starts before the engine, stops after it, and is ready when the engine is.

    It answers the probes of the engine too, because the kubelet cannot reach the engine's loopback. `mounts` are
    further mounts; `ready_period` is the period of its readiness probe, in seconds.
    """
    return {**gateway_container(image, ready_period=ready_period, mounts=mounts), "restart_policy": "Always"}


def gateway_container(image: str, *, ready_period: int = 2, mounts: Iterable[VolumeMount] = ()) -> Container:
    """Return the container of a gateway, in an engine's pod or in a pod of its own."""
    mount: VolumeMount = {"name": "gateway-config", "mount_path": FOLDER, "read_only": True}
    return {
        "name": "gateway",
        "image": image,
        "command": ["larder-sidecar"],
        "args": ["gateway", "--config", f"{FOLDER}/{FILE}"],
        "env": environment({"HOME": "/tmp"}),  # noqa: S108 (an emptyDir of this pod)
        "ports": [{"name": "http", "container_port": CLIENTS}, {"name": "admin", "container_port": ADMIN}],
        "startup_probe": probe("/livez", period=1, failures=60),
        "readiness_probe": probe("/readyz", period=ready_period, failures=3),
        "liveness_probe": probe("/livez", period=10, failures=6),
        # The gateway streams bytes. The limit leaves room for a usual request body on every connection.
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volume_mounts": [mount, *mounts, {"name": TMP, "mount_path": "/tmp"}],  # noqa: S108
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }


def probe(path: str, *, period: int, failures: int) -> core.ProbeArgsDict:
    """Return a probe of the admin port, every `period` seconds; `failures` in a row are too many."""
    return {
        "http_get": {"path": path, "port": ADMIN},
        "period_seconds": period,
        "timeout_seconds": 3,  # the gateway itself gives its engine two seconds to answer
        "failure_threshold": failures,
    }


def drain_hook() -> core.LifecycleArgsDict:
    """Return the preStop hook that drains the gateway. Both are in one pod template, and change together."""
    name, value = DRAIN
    hook: core.HTTPGetActionArgsDict = {
        "path": "/drain",
        "port": ADMIN,
        "http_headers": [{"name": name, "value": value}],
    }
    return {"pre_stop": {"http_get": hook}}


# `up` waits for the Deployment and its weights; endpoints follow at once.
SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


def _http() -> core.ServicePortArgsDict:
    return {"name": "http", "port": 80, "target_port": "http", "protocol": "TCP"}


def stack_service(
    stack: str, *, replicas: int, namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> core.Service:
    """Declare the Service by which the front reaches a stack: one address, or those of its replicas."""
    headless = replicas > 1
    spec: core.ServiceSpecArgsDict = {"type": "ClusterIP", "selector": selector(stack), "ports": [_http()]}
    if headless:
        spec["cluster_ip"] = "None"
    return core.Service(
        "replicas" if headless else "service",
        metadata=metadata(
            # Another name, because the address of a Service is immutable.
            f"{stack}-replicas" if headless else stack,
            f"the address of {'each gateway' if headless else 'the gateway'} of the engine, for the front",
            of=stack,
            namespace=namespace,
            annotations=SKIP_AWAIT,
        ),
        spec=spec,
        opts=opts,
    )


def gateway_policy(
    stack: str, *, front: bool, sources: Iterable[str], namespace: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> networking.NetworkPolicy:
    """Declare the policy of a stack's pods: ingress from clients and Prometheus, egress to sources of weights."""
    return networking.NetworkPolicy(
        "policy",
        metadata=metadata(
            f"larder-{stack}",
            "clients reach the gateway, Prometheus its admin port; the pod reaches the sources of its weights",
            of=stack,
            namespace=namespace,
        ),
        spec={
            "pod_selector": {"match_labels": selector(stack)},
            "policy_types": ["Ingress", "Egress"],
            "ingress": gateway_ingress(of=FRONT if front else None),
            "egress": sources_egress(sources),
        },
        opts=opts,
    )


class Entry(Component):
    """The one address that clients use, for the front or a single stack."""

    TYPE = "larder:serving:Entry"

    def __init__(
        self,
        name: str,
        *,
        service: ServiceType,
        node_port: int | None,
        behind: str,
        after: Sequence[pulumi.Resource] = (),
        namespace: pulumi.Input[str],
        namespace_name: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        port = _http()
        if node_port is not None:
            port["node_port"] = node_port
        self.service = core.Service(
            "service",
            metadata=metadata("larder", "the address of the platform", namespace=namespace, annotations=SKIP_AWAIT),
            spec={"type": service, "selector": selector(behind), "ports": [port]},
            opts=self.child(pulumi.ResourceOptions(depends_on=[*after])),
        )
        # Without `.svc` it would read as a public name: .ai is a top-level domain.
        self.url = f"http://larder.{namespace_name}.svc"
        self.register_outputs({"url": self.url})
