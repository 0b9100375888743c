"""The plan of every stack file with every strategy, as two commits write it: `make plan JSON=`.

Everything is compared but texts for people: purposes, descriptions, what users notice, the wording of findings and
problems. A resource may have another name than before if it has the old one as an alias.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.settings.sources import merged
from tests.program.previews import PAIRS, STACKS, config_of
from tests.rails.differences import Difference, differences
from tests.rails.trees import Tree

DESCRIPTION = "kubernetes.io/description"
_TEXTS = {"purpose", DESCRIPTION}
"""Keys of texts for people, at any depth."""
_TWO = {"larder:models": ["tinyllama-1.1b-chat", "tiny-random"]}
_SHIMMY: Mapping[str, Any] = {"larder:ollama": None, "larder:shimmy": {"pool": "cpu"}}
_POOLS = {"cpu": {"hosts": ["larder", "mars"], "taints": ["weights:NoSchedule"]}}
_GPUS = {"rocm": {"hosts": ["venus"], "accelerator": "amd.com/gpu", "taints": ["amd.com/gpu:NoSchedule"]}}
_MANAGER = {
    "catalog": {"repo": "https://git.example/team/catalog"},
    "api-token": {"secret": "mine"},
    "inference": {"storage-uri": "pvc://venus-model-storage/{id}"},
    "state": {"node": "larder", "path": "/var/lib/larder/manager", "size": "1Gi", "prepare-path": True},
}
_ROUTING = {
    "default": "tiny-random",
    "aliases": {"gpt-4o": "tinyllama-1.1b-chat"},
    "rules": [{"pattern": "(?i)code", "model": "tinyllama-1.1b-chat"}, {"max-characters": 9, "model": "tiny-random"}],
}
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "replicas": ("none", {"larder:ollama": {"replicas": 2}}),
    "llama-server": ("none", _SHIMMY),
    "pulls": ("none", merged(_SHIMMY, {"larder:shimmy": {"pulls": {}}})),
    "shimmy": ("none", merged(_SHIMMY, {"larder:shimmy": {"engine": "shimmy"}})),
    "two stacks": ("node-local", {**_TWO, "larder:shimmy": {"pool": "cpu", "models": ["tiny-random"]}}),
    "kserve": (
        "image-volume",
        {**_TWO, "larder:node-pools": _GPUS, "larder:kserve": {"pool": "rocm", "active": "tiny-random"}},
    ),
    "manager": ("none", {"larder:manager": _MANAGER}),
    "pool of disks": (
        "node-local",
        {"larder:node-pools": _POOLS, "larder:cache": {"node-local": {"node": None, "pool": "cpu"}}},
    ),
    "shared class": ("shared-storage", {"larder:cache": {"shared-storage": {"nfs": None, "storage-class": "efs"}}}),
    "prune": ("node-local", {"larder:cache": {"node-local": {"prune": {"forget": ["others"]}}}}),
    "built image": (
        "prebuilt-image",
        {"larder:cache": {"prebuilt-image": {"image": None, "build": {"to": "registry.example/built"}}}},
    ),
    "tag": ("none", {"larder:images": {"ollama": "docker.io/ollama/ollama:0.32.15"}}),
    "rules": ("none", {**_TWO, "larder:gateway": {"routing": _ROUTING, "cors": {"origins": ["https://a.example"]}}}),
    "residency": ("none", {**_TWO, "larder:gateway": {"residency": {"strategy": "ssd", "keep-alive": "5m"}}}),
    "open": ("none", {"larder:gateway": {"service": "ClusterIP", "auth": {"mutations": "open"}}}),
    "namespace": (
        "none",
        {"larder:cluster": {"namespace": "models"}, "larder:hub": {"endpoint": "https://hub.example"}},
    ),
}
"""Variants of stack dev that no stack file has: the strategy, and an overlay."""


Cases = Mapping[str, tuple[str, Mapping[str, Any] | None]]
"""The stack and the overlay of each plan, by its name; without an overlay, the stack file as it is."""


def cases() -> Cases:
    """Return every stack file as it is, with every strategy, and the variants."""
    return {
        **{stack: (stack, None) for stack in STACKS},
        **{f"{stack} {strategy}": (stack, config_of(stack, strategy)) for stack, strategy in PAIRS},
        **{f"dev {name}": ("dev", config_of("dev", strategy, over)) for name, (strategy, over) in VARIANTS.items()},
    }


def record(tree: Tree, folder: Path, chosen: Cases) -> dict[str, dict[str, Any]]:
    """Return the document of each plan, as the code of this checkout writes it. Raises RailError."""
    folder.mkdir(parents=True, exist_ok=True)
    calls = []
    for name, (stack, overlay) in chosen.items():
        words = ["plan", "--stack", stack, "--json", str(_file(folder, name)), *([] if overlay else ["--why"])]
        if overlay:
            _file(folder, f"{name} overlay").write_text(json.dumps(overlay))
            words += ["--overlay", str(_file(folder, f"{name} overlay"))]
        _file(folder, name).unlink(missing_ok=True)
        calls.append(words)
    found = {}
    for name, answer in zip(chosen, tree.commands(calls), strict=True):
        file = _file(folder, name)
        if file.exists():
            found[name] = {"status": answer["status"], **json.loads(file.read_text())}
        else:
            found[name] = {"status": f"no plan: {answer['errors'].strip()[-200:]}"}
    return found


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '+')}.json"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield what differs between the documents of two commits."""
    for name, old in before.items():
        was, now = facts(old), facts(after[name])
        _name_as_before(was["resources"], now["resources"])
        _leave_out_new_fields(was, now)
        yield from differences(was, now, f"{name}: ")


def facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without texts; resources by their URNs, refusals by their paths."""
    return {
        **{key: value for key, value in document.items() if key not in ("users", "stack", "schema")},
        "resources": {one["urn"]: _without_texts(one) for one in document.get("resources", ())},
        "problems": sorted(path_of(line) for line in document.get("problems", ())),
        "findings": sorted(f"{one['level']} {one['rule']} {one['where']}" for one in document.get("findings", ())),
        "support": {f"{one['stack']} {one['strategy']}": one["status"] for one in document.get("support", ())},
    }


def _leave_out_new_fields(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """Drop what only the later code writes of a plan: the document has grown, not the plan."""
    for key in [key for key in after if key not in before]:
        del after[key]
    known = {key for resource in before["resources"].values() for key in resource}
    for resource in after["resources"].values() if known else ():
        for key in [key for key in resource if key not in known]:
            del resource[key]


def path_of(problem: str) -> str:
    """Return the path before the text of a problem."""
    return problem.partition(": ")[0]


def _without_texts(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_texts(item) for key, item in value.items() if key not in _TEXTS}
    return [_without_texts(item) for item in value] if isinstance(value, list) else value


def _name_as_before(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """Put each resource under the URN that it had, if that is an alias of it; references follow."""
    renamed = {}
    for urn in [urn for urn in after if urn not in before]:
        around = urn.rpartition("::")[0]
        aliases = [f"{around}::{name}" for name in after[urn].get("aliases", ())]
        if known := next((alias for alias in aliases if alias in before and alias not in after), None):
            renamed[urn] = known
            # The alias itself is what is new; the inputs say whether the object is still the same.
            after[known] = {**after.pop(urn), "urn": known, "aliases": before[known].get("aliases", [])}
    for resource in after.values():
        depends = resource.get("depends-on", [])
        resource["depends-on"] = sorted(renamed.get(urn, urn) for urn in depends)
