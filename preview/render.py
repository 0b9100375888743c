"""Manifests of a recorded program as files, to apply without Pulumi."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from components.caching import Prune

from . import properties
from .objects import is_manifest, kind, phase
from .recorder import Recording, Registered

MARK = "# Rendered by `make render`; changes here are lost.\n"
"""First line of every file, which distinguishes a stale file from a file of another author."""


def render(recording: Recording) -> tuple[dict[str, str], dict[str, str]]:
    """Return file names with their contents, and the resources that are left out with the reason."""
    files: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for resource in recording.resources:
        if is_manifest(resource) and Prune.TYPE in resource.urn:
            name = f"{kind(resource).lower()}-{resource.inputs['metadata']['name']}"
            left_out[name] = (
                "must run after every engine has rolled, and files have no order. Run fetch --prune by hand"
            )
        elif is_manifest(resource):
            name = f"{kind(resource).lower()}-{resource.inputs['metadata']['name']}"
            if properties.secrets_in(resource.inputs) or kind(resource) == "Secret":
                left_out[name] = "holds a secret. Make it in the cluster yourself"
            else:
                files[f"{phase(resource):02d}-{name}.yaml"] = MARK + _document(resource)
        elif resource.custom and not resource.type.startswith("pulumi:"):
            # Nodes most of all: a tool that prunes resources would delete them.
            left_out[f"{kind(resource).lower()}-{resource.name}"] = "is not a manifest. Make the node pool yourself"
    return dict(sorted(files.items())), dict(sorted(left_out.items()))


def write(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write these files and remove those of an earlier run; return the names of files that changed.

    Each file is replaced as a whole, and stale ones go last: what is killed half-way is finished by the next run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = [name for name, text in files.items() if not _holds(folder / name, text)]
    for name in changed:
        half = folder / f".{name}.half"
        half.write_text(files[name], encoding="utf-8")
        half.replace(folder / name)
    stale = [path for path in sorted(folder.glob("*.yaml")) if path.name not in files and _is_ours(path)]
    for path in [*stale, *folder.glob(".*.yaml.half")]:
        path.unlink()
    return [*changed, *(path.name for path in stale)]


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(MARK.encode())


class _Dumper(yaml.SafeDumper):
    """A dumper with block style for texts of several lines."""


_NUMBER = re.compile(r"[-+]?[0-9.]+[eE][-+]?[0-9]+|0o[0-7]+")
"""Text to PyYAML that is a number to Go's readers, as in a node named 1e3."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if _NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)

_FIRST = ("apiVersion", "kind", "metadata", "name", "namespace")


_KEPT = {"argocd.argoproj.io/sync-options": "Prune=false,Delete=false", "kustomize.toolkit.fluxcd.io/prune": "disabled"}
"""Annotations that are to Argo CD and Flux what `protect` is to Pulumi."""


def _document(resource: Registered) -> str:
    return yaml.dump(_ordered(_without_pulumi(resource)), Dumper=_Dumper, sort_keys=False, width=120)


def _without_pulumi(resource: Registered) -> dict[str, Any]:
    # Drop annotations for Pulumi's provider, and translate its protection of data for other tools.
    inputs = resource.inputs
    annotations = inputs["metadata"].get("annotations", {})
    others = {key: value for key, value in annotations.items() if not key.startswith("pulumi.com/")}
    kept = _KEPT if resource.protect else {}
    return {**inputs, "metadata": {**inputs["metadata"], "annotations": {**others, **kept}}}


def _ordered(value: properties.Property) -> properties.Property:
    """Sort maps, with the keys first that people look for first: the wire keeps no order."""
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (_rank(key), key))}


def _rank(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)
