"""KServe's own cache on node disks: the objects that its controller and agent read."""

from collections.abc import Mapping

import pulumi
from larder_sidecar.config.weights import ModelWeights, WeightsPlan
from pulumi_kubernetes.apiextensions.CustomResource import CustomResource
from pulumi_kubernetes.apiextensions.v1.CustomResourceDefinition import CustomResourceDefinition

from ..component import Component
from ..manifest import Untyped, camel_case, metadata, object_name
from ..node_pools.base import HOSTNAME
from ..settings.kserve_cache import AGENT_LABEL, KServeCacheSettings

API = "serving.kserve.io/v1alpha1"
NEEDS = ("kserve-local-model-cache", "localmodelcaches.serving.kserve.io")
"""Name in errors, and the definition that every API server with LocalModelCaches has."""
MODES = ["ReadWriteOnce"]
"""Access modes of the claims that KServe makes, one for each model and namespace."""


class KServeCache(Component):
    """KServe's cache on the disks of nodes: a group of nodes, and a cache for each model."""

    TYPE = "larder:storage:KServeCache"

    def __init__(
        self,
        name: str,
        settings: KServeCacheSettings,
        plan: WeightsPlan,
        *,
        stack_namespace: str,
        hosts: tuple[str, ...],
        budget_seconds: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Register the objects for `hosts`, or for every node with the agent's label; the budget is per cache."""
        super().__init__(name, opts)
        # Read, never created: if it is missing, the preview fails with its name before anything is deployed.
        CustomResourceDefinition.get(*NEEDS, opts=self.child())
        group_name = f"larder-{stack_namespace}"
        group = CustomResource(
            "group",
            api_version=API,
            kind="LocalModelNodeGroup",
            # The group is cluster-scoped, as its caches are: stacks in other namespaces have their own.
            metadata=metadata(group_name, f"the disks that KServe's agent fills, at {settings.path} of each node"),
            spec=_group(settings, hosts),
            opts=self.child(),
        )
        self.uris = sources(settings, plan)
        patience = pulumi.CustomTimeouts(create=f"{budget_seconds}s", update=f"{budget_seconds}s")
        self.caches = tuple(
            CustomResource(
                f"cache-{model.id}",
                api_version=API,
                kind="LocalModelCache",
                metadata=metadata(
                    # The source of a LocalModelCache is immutable: another source is another cache.
                    # The controller labels pods and claims with the name.
                    object_name(group_name, model.id, self.uris[model.id]),
                    f"model {model.id} on the disks of the group, fetched once by each node",
                    # KServe starts pods before their node has its copy, and they would find an empty folder.
                    annotations={"pulumi.com/waitFor": f"jsonpath={{.status.copies.available}}={len(hosts)}"}
                    if hosts
                    else {},
                ),
                spec={
                    "sourceModelUri": self.uris[model.id],
                    "modelSize": str(sum(file.bytes for file in model.files)),
                    "nodeGroups": [group_name],
                },
                opts=self.child(pulumi.ResourceOptions(depends_on=[group], custom_timeouts=patience)),
            )
            for model in plan.models
        )
        self.register_outputs({"group": group_name})


def sources(settings: KServeCacheSettings, plan: WeightsPlan) -> Mapping[str, str]:
    """Return the URI of each model for KServe: that of the settings, else its one file on the hub."""
    return {model.id: settings.sources.get(model.id) or _only_file(model) for model in plan.models}


def _only_file(model: ModelWeights) -> str:
    (file,) = model.files  # settings refuse models of several files
    return file.url


def _group(settings: KServeCacheSettings, hosts: tuple[str, ...]) -> Untyped:
    label, value = AGENT_LABEL
    wanted = {"key": HOSTNAME, "values": list(hosts)} if hosts else {"key": label, "values": [value]}
    return camel_case(
        {
            "storage_limit": settings.size,
            "persistent_volume_spec": {
                "capacity": {"storage": settings.size},
                "access_modes": MODES,
                "persistent_volume_reclaim_policy": "Retain",
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                "local": {"path": settings.path},
                "node_affinity": {
                    "required": {"node_selector_terms": [{"match_expressions": [{**wanted, "operator": "In"}]}]}
                },
            },
            "persistent_volume_claim_spec": {
                "access_modes": MODES,
                "storage_class_name": "",
                "volume_mode": "Filesystem",
                "resources": {"requests": {"storage": settings.size}},
            },
        }
    )
