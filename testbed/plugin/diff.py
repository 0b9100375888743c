"""What a change of inputs means: which properties differ, and which of them Kubernetes accepts only on a new object."""
# ruff: noqa: ANN401 - JSON has no narrower type

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from testbed.plugin.annotations import AUTONAMED
from testbed.plugin.values import UNKNOWN, Manifest

Path = tuple[str | int, ...]


class Kind(Enum):
    """How one property differs."""

    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class Change:
    """One differing property; `replaces` when no update of the object can make it."""

    path: Path
    kind: Kind
    replaces: bool

    @property
    def property_path(self) -> str:
        """The path as Pulumi writes it: `spec.template.spec.containers[0].image`, `metadata.labels["a.b/c"]`."""
        text = ""
        for step in self.path:
            if isinstance(step, int):
                text += f"[{step}]"
            elif re.search(r'[."\[\]]', step):
                escaped = step.replace('"', '\\"')
                text += f'["{escaped}"]'
            else:
                text += f".{step}" if text else step
        return text


# fmt: off
_VOLUME_SOURCES: Final = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk",
    "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)
# fmt: on

# The official plugin decides by such a table and asks nobody: a change of another immutable field (a volume's
# nodeAffinity, a class's binding mode) fails in preview and up with the API server's words. So it does here.
_REPLACED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("", "PersistentVolume"): tuple(f"spec.{source}" for source in _VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    ("", "Pod"): ("spec",),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "StatefulSet"): (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    ("batch", "Job"): ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}
_IDENTITY: Final = ("kind", "metadata.name", "metadata.namespace")


@dataclass(frozen=True)
class Mutable:
    """Provider settings that let data change in place; without them a changed ConfigMap or Secret is replaced."""

    config_maps: bool = False
    secrets: bool = False


def changes(old: Manifest, new: Manifest, mutable: Mutable) -> list[Change]:
    """Every property that differs between two sets of inputs."""
    fixed = [tuple(pattern.split(".")) for pattern in (*_IDENTITY, *_replaced(new, mutable))]
    return [
        Change(path, kind, replaces=any(_touches(path, before, after, pattern) for pattern in fixed))
        for path, kind, before, after in _differences((), old, new)
    ]


def delete_first(old_name: str, old: Manifest, new: Manifest) -> bool:
    """Whether a replacement must delete before it creates: the new object needs the very name of the old one."""
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    autonamed = (after.get("annotations") or {}).get(AUTONAMED) == "true"
    same_place = before.get("namespace") == after.get("namespace")
    return not autonamed and after.get("name") == old_name and same_place


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether `ignore_changes` covers this property path."""
    return any(path == pattern or path.startswith((f"{pattern}.", f"{pattern}[")) for pattern in patterns)


def _replaced(manifest: Manifest, mutable: Mutable) -> tuple[str, ...]:
    group, _, _ = str(manifest.get("apiVersion", "")).rpartition("/")
    kind, frozen = manifest.get("kind", ""), manifest.get("immutable") is True
    if (group, kind) == ("", "ConfigMap") and (frozen or not mutable.config_maps):
        return ("data", "binaryData")
    if (group, kind) == ("", "Secret") and (frozen or not mutable.secrets):
        return ("type", "data", "stringData")
    return _REPLACED.get((group, kind), ())


def _touches(path: Path, before: Any, after: Any, pattern: tuple[str, ...]) -> bool:
    """Whether a change at `path` lies under the pattern, or brings or takes a whole branch that holds it."""
    if path[: len(pattern)] == pattern:
        return True
    if path != pattern[: len(path)]:
        return False
    return any(_holds(side, pattern[len(path) :]) for side in (before, after))


def _holds(value: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


_ABSENT: Final = object()


def _differences(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Kind, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences((*path, key), old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _ABSENT
            after = new[index] if index < len(new) else _ABSENT
            yield from _differences((*path, index), before, after)
    elif old is _ABSENT:
        yield path, Kind.ADD, None, new
    elif new is _ABSENT:
        yield path, Kind.DELETE, old, None
    elif not same(path, old, new):
        yield path, Kind.UPDATE, old, new


def same(path: Path, old: Any, new: Any) -> bool:
    """Equal as Kubernetes sees it: where quantities stand, `0.5` is `500m` and `1024Mi` is `1Gi`."""
    if old is UNKNOWN or new is UNKNOWN:
        return False
    if type(old) is type(new) and old == new:
        return True
    if isinstance(old, bool) or isinstance(new, bool) or not _QUANTITIES.intersection(path):
        return False
    before, after = _quantity(old), _quantity(new)
    return before is not None and before == after


_QUANTITIES: Final = frozenset({"requests", "limits", "capacity", "hard", "sizeLimit"})
_SUFFIX: Final = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")} | {
    name: Decimal(base) ** power
    for base, unit in ((1000, ""), (1024, "i"))
    for power, letter in enumerate("KMGTPE", start=1)
    for name in [f"{'k' if (letter, unit) == ('K', '') else letter}{unit}"]
}
_QUANTITY: Final = re.compile(r"([+-]?[0-9.]+)([numkKMGTPE]?i?)")


def _quantity(value: Any) -> Decimal | None:
    shape = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if shape is None or shape[2] not in _SUFFIX:
        return None
    try:
        return Decimal(shape[1]) * _SUFFIX[shape[2]]
    except InvalidOperation:
        return None
