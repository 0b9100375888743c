"""A cloud that only this module knows: its class, in the table of kinds, is all that plans and previews need."""

import re
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import pulumi
import pytest
from pydantic import Field

from components.node_pools import Placement, Pool
from components.plan.storage_classes import about_classes
from components.settings import SettingsError, parse, schema
from components.settings.clusters import KINDS, CloudSettings, Facts, Machines, Provider, by_kind
from components.settings.node_pools import NodePoolSettings
from preview.tree import tree
from tests.program.previews import CATALOG, Preview, config_of

Previews = Callable[..., Preview]


class Toy(CloudSettings):
    """A cluster of a cloud that does not exist."""

    FACTS: ClassVar[Facts] = Facts(
        pools=f"{__name__}:ToyPool",
        machines=Machines(
            types=re.compile(r"toy[0-9]+"),
            example="toy1",
            provider=Provider(package="toy", place="planet", extra="toy"),
            resource="Herd",
            pool="a herd of toys",
        ),
        storage_classes={"bricks": "is made of wood. Fix: name a class of plastic."},
    )

    kind: Literal["toy"]
    """A cluster of a cloud that does not exist."""
    planet: str = Field(pattern=r"^[a-z]+$")
    """The planet of the cluster, as in mars."""
    region: list[str] = Field(default=[])
    """Continents of the planet: EKS has a setting of this name too."""


class ToyPool(Pool[Toy]):
    """Machines of a toy herd."""

    TYPE = "larder:node-pools:ToyPool"

    @classmethod
    def connect(cls, cluster: Toy) -> list[pulumi.ProviderResource]:
        return [pulumi.ProviderResource("toy", "toy", {"planet": cluster.planet})]

    def declare(self, name: str, pool: NodePoolSettings, cluster: Toy) -> Placement:
        words = {"planet": cluster.planet, "continents": cluster.region, "toy": pool.instance}
        herd = pulumi.CustomResource("toy:zoo:Herd", name, words, self.child())
        return Placement(pool=name, taints=pool.tolerated(), ready=(herd,))


CLUSTER = {"kind": "toy", "context": "toys", "name": "box", "planet": "mars", "region": ["north", "south"]}
POOLS: dict[str, dict[str, Any]] = {"cpu": {"hosts": None, "instance": "toy7"}}
CACHE = {"strategy": "none", "node-local": None}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, cluster in by_kind(Toy).items():
        monkeypatch.setitem(KINDS, kind, cluster)


def _config(cluster: dict[str, Any] | None = None, pool: dict[str, Any] | None = None) -> dict[str, Any]:
    pools = {"cpu": POOLS["cpu"] | (pool or {})}
    overlay = {"larder:cluster": CLUSTER | (cluster or {}), "larder:node-pools": pools, "larder:cache": CACHE}
    return config_of("dev", "none", overlay)


def _problems(cluster: dict[str, Any] | None = None, pool: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        parse(_config(cluster, pool), stack="dev", catalog=CATALOG)
    return list(refused.value.lines)


def test_a_stack_of_the_cloud_previews(preview: Previews) -> None:
    seen = preview("none", {"larder:cluster": CLUSTER, "larder:node-pools": POOLS, "larder:cache": CACHE})
    (herd,) = [resource for resource in seen.recording.resources if resource.type == "toy:zoo:Herd"]
    assert herd.inputs == {"planet": "mars", "continents": ["north", "south"], "toy": "toy7"}
    assert "::pulumi:providers:toy::toy" in herd.provider
    assert herd.urn in seen.one("Deployment").dependencies
    lines = {" ".join(line.strip("│├└─ ").split()) for line in tree(seen.recording)}
    assert lines >= {
        "toy toy the provider for planet mars",
        "ToyPool cpu Machines of a toy herd",
        "Herd cpu the machines, as a herd of toys",
    }


def test_its_settings_are_its_own() -> None:
    cluster = parse(_config(), stack="dev", catalog=CATALOG).cluster
    assert isinstance(cluster, Toy)
    assert (cluster.planet, cluster.region) == ("mars", ["north", "south"])


def test_what_is_wrong_is_told_at_once_with_its_own_paths_and_words() -> None:
    assert _problems({"planet": "Mars", "region": [1], "subnets": ["a"], "moon": 1, "name": None}) == [
        "larder:cluster.name: kind toy requires this key. Fix: add it. The cluster's name in its cloud.",
        "larder:cluster.planet: 'Mars' is not allowed here. The planet of the cluster, as in mars. Fix: write "
        "text that matches ^[a-z]+$",
        "larder:cluster.region[0]: must be a valid string, not 1. "
        "Continents of the planet: EKS has a setting of this name too.",
        "larder:cluster.subnets: a cluster of kind toy has no subnets. Fix: remove the key.",
        "larder:cluster.moon: unknown key. Fix: use one of context, kind, kubernetes, location, "
        "name, namespace, node-role, planet, project, region, resource-group, subnets, subscription.",
    ]


def test_its_storage_classes_are_its_own() -> None:
    shared = {"storage-class": "bricks", "nfs": None, "size": "20Gi"}
    overlay = {
        "larder:cluster": CLUSTER,
        "larder:node-pools": POOLS,
        "larder:cache": {"node-local": None, "shared-storage": shared},
    }
    settings = parse(config_of("dev", "shared-storage", overlay), stack="dev", catalog=CATALOG)
    assert list(about_classes(settings)) == [
        "larder:cache.shared-storage.storage-class: bricks is made of wood. Fix: name a class of plastic."
    ]


def test_its_machines_are_its_own() -> None:
    assert _problems(pool={"instance": "m6i.xlarge", "accelerator": "amd.com/gpu"}) == [
        "larder:node-pools.cpu.instance: 'm6i.xlarge' is not a machine type of toy. Fix: write one, as in toy1.",
        "larder:node-pools.cpu.accelerator: no machine of toy has amd.com/gpu. "
        "Fix: remove the key, or use MI300X on aks or nodes of your own.",
    ]


def test_editors_know_it() -> None:
    shape = schema.schema()
    (cluster,) = [
        value for key, value in shape["properties"]["config"]["properties"].items() if key == "larder:cluster"
    ]
    assert {"$ref": "#/$defs/Toy"} in cluster["oneOf"]
    assert shape["$defs"]["Toy"]["required"] == ["kind", "name", "planet"]
