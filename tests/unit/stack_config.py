"""A stack config that is right, for tests that make it wrong."""

from collections.abc import Mapping
from typing import Any

from larder_sidecar.catalog import CatalogEntry

from components.settings import Problem, Settings, SettingsError, parse
from components.settings.base import Catalog
from components.settings.sources import merged

DIGEST = f"sha256:{'0' * 64}"


def entry(model: str, *, aliases: tuple[str, ...] = (), size: int = 2**20, sha256: str = "a" * 64) -> CatalogEntry:
    """A catalog entry of one file."""
    return CatalogEntry.model_validate(
        {
            "id": model,
            "name": model,
            "aliases": list(aliases),
            "format": "gguf",
            "quantization": "Q4_K_M",
            "context": 2048,
            "license": "apache-2.0",
            "hub": {
                "repo": f"org/{model}",
                "revision": "0" * 40,
                "files": [{"path": f"{model}.gguf", "bytes": size, "sha256": sha256}],
            },
            "needs": {"memory": "256Mi", "cpu": "500m"},
        }
    )


CATALOG = {
    e.id: e
    for e in (
        entry("alpha", aliases=("first",)),
        entry("beta", size=3 * 2**30),
        entry("gamma", sha256="first-pull"),
        entry("delta", aliases=("FIRST",)),
    )
}

GOOD: dict[str, Any] = {
    "larder:cluster": {"kind": "embedded"},
    "larder:node-pools": {"cpu": {"hosts": ["venus", "mars"]}, "spare": {"hosts": ["pluto"]}},
    "larder:models": ["alpha"],
    "larder:cache": {
        "strategy": "node-local",
        "node-local": {"node": "venus", "path": "/var/lib/larder", "size": "2Gi"},
    },
    "larder:images": {"sidecar": f"registry/sidecar@{DIGEST}", "ollama": f"registry/ollama@{DIGEST}"},
    "larder:ollama": {"pool": "cpu"},
}

EKS: dict[str, Any] = {
    "kind": "eks",
    "context": "prod",
    "name": "prod",
    "region": "eu-central-1",
    "subnets": ["subnet-1"],
    "node-role": "arn:aws:iam::123456789012:role/nodes",
}
GKE: dict[str, Any] = {"kind": "gke", "context": "prod", "name": "prod", "project": "p", "location": "europe-west4"}
AKS: dict[str, Any] = {"kind": "aks", "context": "prod", "name": "prod", "subscription": "0", "resource-group": "prod"}
"""A right cluster of each cloud."""


def settings(changes: Mapping[str, Any] | None = None, stack: str = "dev") -> Settings:
    """The good config with changes merged in; None takes a block out."""
    return settings_of(merged(GOOD, changes or {}), stack)


def settings_of(raw: Mapping[str, Any], stack: str = "dev") -> Settings:
    """The settings of a whole config."""
    return parse(raw, stack=stack, catalog=Catalog(CATALOG))


def problems(changes: Mapping[str, Any], stack: str = "dev") -> list[str]:
    """Return the problems of the changed config."""
    return problems_of(merged(GOOD, changes), stack)


def problems_of(
    raw: Mapping[str, Any], stack: str = "dev", wrong: Mapping[str, tuple[Problem, ...]] | None = None
) -> list[str]:
    """Return the problems of a whole config."""
    try:
        parse(raw, stack=stack, catalog=Catalog(CATALOG, wrong=wrong or {}))
    except SettingsError as error:
        return list(error.lines)
    return []
