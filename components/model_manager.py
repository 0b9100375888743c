"""The model manager: its configuration file, RBAC role, state volume, and pod with a git-sync sidecar."""

from collections.abc import Sequence

import pulumi
from larder_sidecar.config.layout import ADMIN, CLIENTS, TOKENS
from larder_sidecar.config.manager import SERVICE_ACCOUNT, InferenceService, ManagerConfig, SyncedFolder
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta
from pulumi_kubernetes.networking import v1 as networking
from pulumi_kubernetes.rbac import v1 as rbac

from .component import Component
from .manifest import (
    TMP,
    Container,
    Volume,
    container_security,
    environment,
    labels,
    metadata,
    pod,
    scratch,
    selector,
)
from .network import gateway_ingress, manager_egress
from .node_pools import tolerations
from .settings.images import Images
from .settings.manager import Manager, SyncedCatalog
from .settings.node_pools import Taint
from .settings.root import SLACK_SECONDS
from .storage import LocalVolume

NAME = "larder-manager"
FOLDER = "/etc/larder/manager"
FILE = "manager.json"
STATE_CLAIM = "model-manager-state"
CREDENTIALS = "/etc/git-secret"
KSERVE = "serving.kserve.io"


class ModelManager(Component):
    """Service that chooses which model of the synced catalog KServe serves."""

    TYPE = "larder:manager:ModelManager"

    def __init__(
        self,
        name: str,
        settings: Manager,
        images: Images,
        inference: InferenceService,
        *,
        min_bandwidth: int,
        taints: tuple[Taint, ...],
        token_secret: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        namespace: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(name, opts)
        self._namespace = namespace
        config = ManagerConfig(
            catalog=SyncedFolder(path=settings.catalog.path),
            inference_service=inference,
            min_bandwidth=min_bandwidth,
            slack_seconds=SLACK_SECONDS,
        )
        config_map = core.ConfigMap(
            "manager.json",
            metadata=self._metadata(NAME, "the path of the catalog, and the InferenceService to change"),
            data={FILE: config.to_json()},
            opts=self.child(),
        )
        account = self._account(inference.name)
        state = LocalVolume(
            "manager-state",
            settings.state,
            node=settings.state.node,
            taints=taints,
            image=images.sidecar,
            namespace=namespace,
            claim_name=STATE_CLAIM,
            opts=self.child(),
        )
        networking.NetworkPolicy(
            "policy",
            metadata=self._metadata(NAME, "clients reach the API; the pod reaches the repository and the API server"),
            spec={
                "pod_selector": {"match_labels": selector(NAME)},
                "policy_types": ["Ingress", "Egress"],
                "ingress": gateway_ingress(),
                "egress": manager_egress(settings.catalog.repo),
            },
            opts=self.child(),
        )
        # The account's token is mounted explicitly, so that git-sync does not get it.
        pod_spec = pod(
            {
                "service_account_name": NAME,
                "init_containers": [_git_sync(str(images.git_sync), settings.catalog)],
                "containers": [_manager(images.sidecar)],
                "volumes": _volumes(settings, token_secret),
            }
        )
        if tolerated := tolerations(taints):
            pod_spec["tolerations"] = tolerated
        apps.Deployment(
            "deployment",
            metadata=self._metadata(NAME, "the manager, and git-sync as its sidecar"),
            spec={
                "replicas": 1,
                "revision_history_limit": 2,
                # One process at a time may hold the file of the history.
                "strategy": {"type": "Recreate"},
                "selector": {"match_labels": selector(NAME)},
                "template": {
                    "metadata": {"labels": labels(NAME)},
                    "spec": pod_spec,
                },
            },
            opts=self.child(pulumi.ResourceOptions(depends_on=[config_map, *account, *state.ready, *after])),
        )
        core.Service(
            "service",
            metadata=self._metadata(
                NAME, "the address of the model manager", annotations={"pulumi.com/skipAwait": "true"}
            ),
            spec={
                "type": "ClusterIP",
                "selector": selector(NAME),
                "ports": [{"name": "http", "port": 80, "target_port": "http", "protocol": "TCP"}],
            },
            opts=self.child(),
        )
        self.register_outputs({})

    def _metadata(
        self, name: str, description: str, annotations: dict[str, str] | None = None
    ) -> meta.ObjectMetaArgsDict:
        return metadata(name, description, of=NAME, namespace=self._namespace, annotations=annotations)

    def _account(self, service: str) -> list[pulumi.Resource]:
        """Declare the account of the pod, with the least that lets it do its work."""
        account = core.ServiceAccount(
            "account",
            metadata=self._metadata(NAME, "the identity of the manager in the cluster"),
            automount_service_account_token=False,
            opts=self.child(),
        )
        role = rbac.Role(
            "role",
            metadata=self._metadata(NAME, f"change InferenceService {service}, and read why it is not ready"),
            rules=[
                {
                    "api_groups": [KSERVE],
                    "resources": ["inferenceservices"],
                    "resource_names": [service],
                    "verbs": ["get", "patch"],
                },
                # RBAC cannot restrict create by name.
                {"api_groups": [KSERVE], "resources": ["inferenceservices"], "verbs": ["create"]},
                {"api_groups": [""], "resources": ["pods", "events"], "verbs": ["list"]},
            ],
            opts=self.child(),
        )
        binding = rbac.RoleBinding(
            "binding",
            metadata=self._metadata(NAME, "gives the manager its role"),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": self._namespace}],
            opts=self.child(pulumi.ResourceOptions(depends_on=[account, role])),
        )
        return [account, role, binding]


def _git_sync(image: str, catalog: SyncedCatalog) -> Container:
    """Return git-sync as a native sidecar. The manager does not wait for it, and reports a missing catalog itself."""
    environ = environment({"HOME": "/tmp"})  # noqa: S108 (an emptyDir of this pod)
    arguments = [
        f"--repo={catalog.repo}",
        f"--ref={catalog.ref}",
        f"--period={catalog.period}",
        "--root=/catalog",
        "--link=current",
        "--submodules=off",
        # Retry without end: a repository that is unreachable must not end the sidecar and lose its copy.
        "--max-failures=-1",
        # Time for a reader that has resolved the link to read the old worktree.
        "--stale-worktree-timeout=2m",
    ]
    mounts: list[core.VolumeMountArgsDict] = [
        {"name": "catalog", "mount_path": "/catalog"},
        {"name": TMP, "mount_path": "/tmp"},  # noqa: S108
    ]
    if catalog.secret:
        reference: core.SecretKeySelectorArgsDict = {"name": catalog.secret, "key": "username"}
        environ.append({"name": "GITSYNC_USERNAME", "value_from": {"secret_key_ref": reference}})
        arguments.append(f"--password-file={CREDENTIALS}/token")
        mounts.append({"name": "git-credentials", "mount_path": CREDENTIALS, "read_only": True})
    return {
        "name": "git-sync",
        "image": image,
        "restart_policy": "Always",
        "args": arguments,
        "env": environ,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volume_mounts": mounts,
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }


def _manager(image: str) -> Container:
    return {
        "name": "manager",
        "image": image,
        "command": ["larder-sidecar"],
        "args": ["manager", "--config", f"{FOLDER}/{FILE}"],
        "env": environment({"HOME": "/tmp"}),  # noqa: S108
        "ports": [{"name": "http", "container_port": CLIENTS}, {"name": "admin", "container_port": ADMIN}],
        "startup_probe": {"http_get": {"path": "/livez", "port": ADMIN}, "period_seconds": 1, "failure_threshold": 60},
        "readiness_probe": {"http_get": {"path": "/readyz", "port": ADMIN}, "period_seconds": 5},
        "liveness_probe": {"http_get": {"path": "/livez", "port": ADMIN}, "period_seconds": 10, "failure_threshold": 6},
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "volume_mounts": [
            {"name": "manager-config", "mount_path": FOLDER, "read_only": True},
            {"name": "api-token", "mount_path": TOKENS, "read_only": True},
            {"name": "service-account", "mount_path": str(SERVICE_ACCOUNT), "read_only": True},
            {"name": "catalog", "mount_path": "/catalog", "read_only": True},
            {"name": "state", "mount_path": "/app/state"},
            {"name": TMP, "mount_path": "/tmp"},  # noqa: S108
        ],
        "termination_message_policy": "FallbackToLogsOnError",
        "security_context": container_security(),
    }


def _volumes(settings: Manager, token_secret: pulumi.Input[str]) -> list[Volume]:
    secret = settings.catalog.secret
    credentials: list[Volume] = [{"name": "git-credentials", "secret": {"secret_name": secret}}] if secret else []
    return [
        {"name": "manager-config", "config_map": {"name": NAME}},
        {"name": "api-token", "secret": {"secret_name": token_secret}},
        {
            "name": "service-account",
            "projected": {
                "sources": [
                    {"service_account_token": {"path": "token", "expiration_seconds": 3600}},
                    {"config_map": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                ]
            },
        },
        {"name": "catalog", "empty_dir": {"size_limit": "1Gi"}},
        {"name": "state", "persistent_volume_claim": {"claim_name": STATE_CLAIM}},
        *credentials,
        scratch(),
    ]
