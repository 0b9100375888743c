"""Changes of one object each, which are recorded with the official kubernetes plugin."""

from dataclasses import dataclass, field
from typing import Any

from tests.plugin.manifests import ELSEWHERE, HERE, POD, VENUS, Fields, Manifest, manifest


@dataclass(frozen=True, kw_only=True)
class Case:
    """One object in a program before and after a change; None if the program does not declare it."""

    name: str
    kind: str
    before: Manifest | None
    after: Manifest | None
    options: tuple[dict[str, Any], dict[str, Any]] = field(default=({}, {}))
    """Pulumi's options of the object, before and after."""
    given: tuple[Manifest, ...] = ()
    """Objects that it requires, made first."""
    former: str = ""
    """Logical name before the change, if it differs."""
    unforeseen: str = ""
    """Reason for which previews cannot foresee the outcome, if they do not."""


CASES: dict[str, Case] = {}


def _case(
    kind: str,
    word: str,
    before: Fields | None = None,
    after: Fields | None = None,
    *,
    both: Fields | None = None,
    **more: Any,
) -> None:
    """Add a case: the fields of the kind's manifest before and after, and those of both sides."""
    name = f"{kind.lower()}-{word}"
    sides = [manifest(kind, name, {**(both or {}), **(fields or {})}) for fields in (before, after)]
    assert name not in CASES, name
    CASES[name] = Case(name=name, kind=kind, before=sides[0], after=sides[1], **more)


def _gone(kind: str, word: str, **options: Any) -> None:
    name = f"{kind.lower()}-{word}"
    CASES[name] = Case(name=name, kind=kind, before=manifest(kind, name, {}), after=None, options=(options, {}))


def _pod(**spec: Any) -> Fields:
    return {"spec.template.spec": POD | spec}


def _job(**spec: Any) -> Fields:
    return _pod(restartPolicy="Never", **spec)


# An ordinary change of each kind.
_case("ConfigMap", "data", {}, {"data": {"a": "2", "b": "3"}})
_case("Deployment", "image", {}, _pod(containers=[{"name": "engine", "image": "engine:2"}]))
_case("InferenceService", "replicas", {}, {"spec.predictor.minReplicas": 2})
_case("InferenceService", "uri", {"spec.predictor.model.storageUri": "pvc://a"}, {"spec.predictor.model.runtime": "b"})
_case("Job", "ttl", {}, {"spec.ttlSecondsAfterFinished": 86400})
_case("Job", "deadline", {"spec.activeDeadlineSeconds": 60}, {"spec.activeDeadlineSeconds": 90})
_case("Job", "backoff", {}, {"spec.backoffLimit": 1})
_case("LocalModelCache", "size", {}, {"spec.modelSize": "2Gi"})
_case("LocalModelCache", "groups", {}, {"spec.nodeGroups": ["group", "other"]})
_case("LocalModelNodeGroup", "limit", {}, {"spec.storageLimit": "2Gi"})
_case("LocalModelNodeGroup", "path", {}, {"spec.persistentVolumeSpec.local.path": "/other"})
_case("LocalModelNodeGroup", "class", {}, {"spec.persistentVolumeClaimSpec.storageClassName": "other"})
_case("Namespace", "labels", {}, {"metadata.labels": {"test": HERE, "pod-security.kubernetes.io/enforce": "baseline"}})
_case("NetworkPolicy", "ports", {}, {"spec.ingress": [{"ports": [{"protocol": "TCP", "port": 9090}]}]})
_case("NetworkPolicy", "selector", {}, {"spec.podSelector": {"matchLabels": {"app": "front"}}})
_case("NetworkPolicy", "egress", {}, {"spec.policyTypes": ["Ingress", "Egress"], "spec.egress": [{}]})
_case("PersistentVolume", "capacity", {}, {"spec.capacity.storage": "2Gi"})
_case("PersistentVolume", "policy", {}, {"spec.persistentVolumeReclaimPolicy": "Delete"})
_case("PersistentVolume", "class", {}, {"spec.storageClassName": "other"})
_case("PersistentVolume", "modes", {}, {"spec.accessModes": ["ReadWriteMany"]})
_case("PersistentVolumeClaim", "labels", {}, {"metadata.labels": {"test": HERE, "a": "b"}})
_case("PodDisruptionBudget", "number", {}, {"spec.maxUnavailable": 2})
_case("PodDisruptionBudget", "selector", {}, {"spec.selector.matchLabels": {"app": "front"}})
_case("Role", "rules", {}, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]})
_case("RoleBinding", "subjects", {}, {"subjects": [{"kind": "ServiceAccount", "name": "other", "namespace": HERE}]})
_case("Secret", "text", {}, {"stringData": {"token": "two"}})
_case("Secret", "data", {"stringData": None, "data": {"a": "MQ=="}}, {"stringData": None, "data": {"a": "Mg=="}})
_case(
    "Service",
    "port",
    {},
    {"spec.ports": [{"name": "http", "port": 8000, "targetPort": 8080}]},
    unforeseen="Pulumi's preview of an object that was never updated merges lists with those of its creation",
)
_case("Service", "target-port", {}, {"spec.ports": [{"name": "http", "port": 80, "targetPort": 9090}]})
_case("Service", "type", {}, {"spec.type": "NodePort"})
_case("ServiceAccount", "token", {}, {"automountServiceAccountToken": True})
_case("ServingRuntime", "image", {}, {"spec.containers": [{"name": "kserve-container", "image": "vllm:2"}]})
_case("StorageClass", "expansion", {}, {"allowVolumeExpansion": True})
_case("StorageClass", "mount-options", {}, {"mountOptions": ["ro"]})

# Another name or namespace is another object, of any kind.
_case("ConfigMap", "renamed", {}, {"metadata.name": "configmap-other-name"})
_case("ConfigMap", "moved", {}, {"metadata.namespace": ELSEWHERE}, given=(manifest("Namespace", "other", {}),))
_case("PersistentVolume", "renamed", {}, {"metadata.name": f"{HERE}-volume-other-name"})
_case("LocalModelCache", "renamed", {}, {"metadata.name": f"{HERE}-cache-other-name", "spec.sourceModelUri": "hf://b"})
_case(
    "ConfigMap",
    "renamed-after-deletion",
    {},
    {"metadata.name": "configmap-other-name-2"},
    options=({"delete_before_replace": True},) * 2,
)
_case("Job", "renamed", {}, {"metadata.name": "job-other-name"}, options=({"delete_before_replace": True},) * 2)

# Fields that replace the object.
_case(
    "Deployment", "selector", {}, {"spec.selector.matchLabels": {"app": "b"}, "spec.template.metadata.labels.app": "b"}
)
_case("Job", "template", {}, _job(containers=[{"name": "engine", "image": "engine:2"}]))
_case("Job", "template-list", {}, _job(containers=[*POD["containers"], {"name": "two", "image": "i"}]))
_case("Job", "template-branch", {"spec.template.metadata": {"labels": {"a": "b"}}}, {})
_case("Job", "completions", {"spec.completions": 1}, {"spec.completions": 2})
_case("Job", "parallelism", {"spec.parallelism": 1}, {"spec.parallelism": 2})
_case(
    "Job",
    "selector",
    both={"spec.manualSelector": True, "spec.template.metadata": {"labels": {"a": "b", "c": "d"}}},
    before={"spec.selector": {"matchLabels": {"a": "b"}}},
    after={"spec.selector": {"matchLabels": {"c": "d"}}},
)
_case("PersistentVolume", "local", {}, {"spec.local.path": "/elsewhere"})
_case("PersistentVolume", "local-to-host-path", {}, {"spec.local": None, "spec.hostPath": {"path": "/models"}})
_case("PersistentVolume", "host-path", *({"spec.local": None, "spec.hostPath": {"path": p}} for p in ("/a", "/b")))
_case("PersistentVolume", "nfs", *({"spec.local": None, "spec.nfs": {"server": s, "path": "/"}} for s in ("a", "b")))
_case(
    "PersistentVolume",
    "csi",
    *({"spec.local": None, "spec.csi": {"driver": "d.example", "volumeHandle": h}} for h in ("a", "b")),
)
_case(
    "PersistentVolume",
    "local-and-node",
    {},
    {
        "spec.local.path": "/elsewhere",
        "spec.nodeAffinity": {"required": {"nodeSelectorTerms": [VENUS, VENUS]}},
    },
)
_case("PersistentVolumeClaim", "modes", {}, {"spec.accessModes": ["ReadWriteMany"]})
_case("PersistentVolumeClaim", "modes-added", {}, {"spec.accessModes": ["ReadWriteOnce", "ReadOnlyMany"]})
_case("PersistentVolumeClaim", "class", {}, {"spec.storageClassName": "other"})
_case("PersistentVolumeClaim", "class-removed", {}, {"spec.storageClassName": None})
_case("PersistentVolumeClaim", "volume", {"spec.volumeName": "a"}, {"spec.volumeName": "b"})
_case("PersistentVolumeClaim", "volume-removed", {"spec.volumeName": "a"}, {})
_case("PersistentVolumeClaim", "volume-added", {}, {"spec.volumeName": "a"})
_case("PersistentVolumeClaim", "selector", *({"spec.selector": {"matchLabels": {"a": v}}} for v in "bc"))
_case("PersistentVolumeClaim", "selector-added", {}, {"spec.selector": {"matchLabels": {"a": "b"}}})
_case("PersistentVolumeClaim", "selector-removed", {"spec.selector": {"matchLabels": {"a": "b"}}}, {})
_case("RoleBinding", "role", {}, {"roleRef.name": "other"})
_case("Secret", "type", {}, {"type": "larder.test/other"})
_case("Secret", "type-changed", *({"type": f"larder.test/{word}"} for word in "ab"))
_case("Service", "cluster-ip-removed", {"spec.clusterIP": "None"}, {})
_case("Service", "cluster-ip-added", {}, {"spec.clusterIP": "None"})
_case("StorageClass", "parameters", *({"parameters": {"a": value}} for value in "bc"))
_case("StorageClass", "parameters-added", {}, {"parameters": {"a": "b"}})
_case("StorageClass", "parameters-removed", {"parameters": {"a": "b"}}, {})
_case("StorageClass", "provisioner", {}, {"provisioner": "larder.test/other"})

# Immutable data.
for _kind, _data in (("ConfigMap", "data"), ("ConfigMap", "binaryData"), ("Secret", "stringData"), ("Secret", "data")):
    _values: list[dict[str, Any]] = [
        {"data": None, "stringData": None, _data: {"a": value}} for value in ("MQ==", "Mg==")
    ]
    _case(_kind, f"immutable-{_data.lower()}", *_values, both={"immutable": True})
    _case(_kind, f"thawed-{_data.lower()}", {**_values[0], "immutable": True}, _values[1])
    _case(_kind, f"frozen-{_data.lower()}", _values[0], {**_values[1], "immutable": True})
    _case(
        _kind, f"immutable-{_data.lower()}-removed", _values[0], both={"immutable": True, **dict.fromkeys(_values[0])}
    )
_case("ConfigMap", "frozen", {}, {"immutable": True})
_case("ConfigMap", "thawed", {"immutable": True}, {})
_case("ConfigMap", "immutable-labels", both={"immutable": True}, after={"metadata.labels": {"test": HERE, "a": "b"}})
_case("Secret", "immutable-type", *({"type": f"larder.test/{word}"} for word in "ab"), both={"immutable": True})

# Fields that the API server refuses to change.
_case("Job", "completion-mode", *({"spec.completionMode": m, "spec.completions": 1} for m in ("NonIndexed", "Indexed")))
_DISRUPTED = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
_LASTING = [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3]}}]
_case("Job", "failure-policy", *({"spec.podFailurePolicy": {"rules": r}} for r in (_DISRUPTED, _LASTING)))
_case("Job", "failure-policy-added", {}, {"spec.podFailurePolicy": {"rules": _DISRUPTED}})
_case("Job", "failure-policy-removed", {"spec.podFailurePolicy": {"rules": _DISRUPTED}}, {})
_case(
    "Job", "policy-and-template", {}, {"spec.podFailurePolicy": {"rules": _DISRUPTED}} | _job(nodeSelector={"a": "b"})
)
_case("LocalModelCache", "uri", {}, {"spec.sourceModelUri": "hf://other/model"})
_MARS = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["mars"]}]}
_case("PersistentVolume", "node", {}, {"spec.nodeAffinity.required.nodeSelectorTerms": [_MARS]})
_case("PersistentVolume", "mode", {}, {"spec.volumeMode": "Block"})
_case("PersistentVolume", "mode-changed", *({"spec.volumeMode": mode} for mode in ("Filesystem", "Block")))
_case("PersistentVolumeClaim", "mode", {}, {"spec.volumeMode": "Block"})
_case("PersistentVolumeClaim", "source", {}, {"spec.dataSource": {"kind": "PersistentVolumeClaim", "name": "other"}})
_case("PersistentVolumeClaim", "source-ref", {}, {"spec.dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "b"}})
_case("StorageClass", "policy", {}, {"reclaimPolicy": "Delete"})
_case("StorageClass", "policy-removed", {}, {"reclaimPolicy": None})
_case("StorageClass", "binding", {}, {"volumeBindingMode": "Immediate"})
_case("StorageClass", "binding-removed", {}, {"volumeBindingMode": None})
_case(
    "StorageClass",
    "topologies",
    {},
    {
        "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}],
    },
)


# Claims that grow and shrink: a bound claim of a class that lets them grow, and claims that are not bound.
def _bound(word: str, before: str, after: str, *, expands: bool = True, **more: Any) -> None:
    storage = f"{HERE}-bound-{word}"
    class_ = {"volumeBindingMode": "Immediate", "allowVolumeExpansion": expands}
    volume = {"spec.storageClassName": storage, "spec.capacity.storage": "8Gi"}
    _case(
        "PersistentVolumeClaim",
        word,
        *({"spec.resources.requests.storage": size} for size in (before, after)),
        both={"spec.storageClassName": storage, "spec.volumeName": storage},
        given=(
            manifest("StorageClass", f"bound-{word}", class_),
            manifest("PersistentVolume", f"bound-{word}", volume),
        ),
        **more,
    )


_IGNORED: Any = ({"ignore_changes": ["spec.resources"]},) * 2
_bound("grows", "1Gi", "2Gi")
_bound("shrinks", "2Gi", "1Gi")
_bound("respelled", "1Gi", "1024Mi")
_bound("grows-in-another-unit", "1Gi", "1500Mi")
_bound("shrinks-in-another-unit", "1Gi", "1000M")
_bound("cannot-grow", "1Gi", "2Gi", expands=False, unforeseen="the claim's class decides, and may be of others")
_bound("ignored", "2Gi", "1Gi", options=_IGNORED)
_case(
    "PersistentVolumeClaim",
    "unbound-grows",
    {},
    {"spec.resources.requests.storage": "2Gi"},
    unforeseen="the status of the claim decides",
)
_case("PersistentVolumeClaim", "unbound-shrinks", {}, {"spec.resources.requests.storage": "1Mi"})

# Items of lists, and branches that come and go.
_EMPTY: Fields = {}
_ENV = [{"name": name, "value": "1"} for name in "abc"]
_ONE, _TWO = ({"name": name, "image": "i"} for name in ("one", "two"))
_TMP, _HOME = ({"name": name, "emptyDir": _EMPTY} for name in ("tmp", "home"))
_case("Deployment", "env-moved", *(_pod(containers=[_ONE | {"env": env}]) for env in (_ENV, _ENV[::-1])))
_case("Deployment", "env-added", *(_pod(containers=[_ONE | {"env": env}]) for env in (_ENV[1:], _ENV)))
_case("Deployment", "env-removed", *(_pod(containers=[_ONE | {"env": env}]) for env in (_ENV, _ENV[1:])))
_case("Deployment", "containers-moved", *(_pod(containers=both) for both in ([_ONE, _TWO], [_TWO, _ONE])))
_case("Deployment", "volumes-changed", *(_pod(volumes=both) for both in ([_TMP], [_HOME, _TMP])))
_case("Deployment", "args", *(_pod(containers=[_ONE | {"args": args}]) for args in (["a", "b"], ["a", "c", "d"])))
_case("Deployment", "args-removed", *(_pod(containers=[_ONE | more]) for more in ({"args": ["a"]}, {})))
_case(
    "Deployment",
    "probe-added",
    *(_pod(containers=[_ONE | m]) for m in ({}, {"readinessProbe": {"exec": {"command": ["a"]}}})),
)
_case(
    "Deployment",
    "cpu-respelled",
    *(_pod(containers=[_ONE | {"resources": {"limits": {"cpu": c}}}]) for c in ("0.5", "500m")),
)
_case(
    "Deployment", "cpu-as-number", *(_pod(containers=[_ONE | {"resources": {"limits": {"cpu": c}}}]) for c in ("1", 1))
)
_case(
    "Deployment", "memory", *(_pod(containers=[_ONE | {"resources": {"limits": {"memory": m}}}]) for m in ("1Gi", "1G"))
)
_case(
    "Deployment",
    "limit-respelled",
    *(_pod(volumes=[{"name": "tmp", "emptyDir": {"sizeLimit": s}}]) for s in ("1Gi", "1024Mi")),
)
_case(
    "ServingRuntime",
    "cpu-respelled",
    *(
        {"spec.containers": [{"name": "kserve-container", "image": "i", "resources": {"limits": {"cpu": c}}}]}
        for c in ("0.5", "500m")
    ),
)
_case("PersistentVolume", "capacity-respelled", {}, {"spec.capacity.storage": "1024Mi"})
_case("Deployment", "deadline-added", {}, {"spec.progressDeadlineSeconds": 60})
_case("Deployment", "strategy-removed", {"spec.strategy": {"type": "Recreate"}}, {})
_case("ConfigMap", "data-removed", {}, {"data": None})
_case("ConfigMap", "data-added", {"data": None}, {})
_case("ConfigMap", "key-with-dots", *({"data": {"a.b-c.json": value}} for value in "12"))
_case("ConfigMap", "label-removed", {"metadata.labels": {"test": HERE, "a.b/c": "d"}}, {})
_case(
    "Service",
    "ports-moved",
    *(
        {"spec.ports": [{"name": n, "port": p} for n, p in ps]}
        for ps in ([("a", 80), ("b", 81)], [("b", 81), ("a", 80)])
    ),
)
_case("Role", "rules-removed", {}, {"rules": []})

# Options of Pulumi.
_KEPT: Any = {"protect": True, "retain_on_delete": True}
_PROTECTED: Any = {"protect": True}
_RETAINED: Any = {"retain_on_delete": True}
_MOVED: Fields = {"spec.local.path": "/elsewhere"}
_case("PersistentVolume", "protected", {}, _MOVED, options=(_KEPT, _KEPT))
_case("PersistentVolume", "protected-after", {}, _MOVED, options=({}, _PROTECTED))
_case("PersistentVolume", "protected-before", {}, _MOVED, options=(_PROTECTED, {}))
_case("PersistentVolume", "retained", {}, _MOVED, options=(_RETAINED, _RETAINED))
_case("PersistentVolume", "retained-before", {}, _MOVED, options=(_RETAINED, {}))
_case("PersistentVolume", "retained-after", {}, _MOVED, options=({}, _RETAINED))
_case("ConfigMap", "retained-and-renamed", {}, {"metadata.name": "configmap-other-name-3"}, options=(_RETAINED,) * 2)
_case("PersistentVolume", "protected-in-place", {}, {"spec.capacity.storage": "2Gi"}, options=(_KEPT, _KEPT))
_case(
    "PersistentVolumeClaim",
    "ignored-in-part",
    {},
    {"spec.resources.requests.storage": "2Gi", "spec.volumeName": "a"},
    options=_IGNORED,
)
_case("ConfigMap", "known-by-another-name", options=({}, {"aliases": ["configmap-former"]}), former="configmap-former")
_gone("ConfigMap", "gone")
_gone("ConfigMap", "gone-and-protected", protect=True)
_gone("ConfigMap", "gone-and-kept", retain_on_delete=True)
CASES["configmap-new"] = Case(
    name="configmap-new", kind="ConfigMap", before=None, after=manifest("ConfigMap", "configmap-new", {})
)
