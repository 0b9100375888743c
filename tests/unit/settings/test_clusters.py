"""Kinds of clusters: a class for each, which states everything that depends on the kind."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml

from components import ROOT
from components.settings.clusters import KINDS, ClusterSettings, Facts, by_kind, clouds, is_testbed
from tests.source_code import READS_CODE, nodes
from tests.unit.floors import modules
from tests.unit.stack_config import EKS, GOOD, problems_of, settings_of

REGISTRY = "components.settings.clusters"
KEYS = (
    "context, kind, kubernetes, location, name, namespace, node-role, project, region, resource-group, subnets, "
    "subscription"
)
CHOICES = "Fix: choose one of embedded, on-prem, eks, gke, aks."


def _of(cluster: object) -> list[str]:
    """Return the problems of the block in a config that is valid on any cloud."""
    pools = {"cpu": {"instance": "m6i.xlarge"}}
    config = {**GOOD, "larder:cluster": cluster, "larder:node-pools": pools, "larder:cache": {"strategy": "none"}}
    return [line for line in problems_of(config) if line.startswith("larder:cluster")]


@pytest.mark.parametrize(
    ("cluster", "lines"),
    [
        (
            {"kind": "esk", "namespace": "default", "subnets": [1], "project": "?", "kubernetes": "2"},
            ["kind", "namespace", "kubernetes", "subnets[0]", "project"],
        ),
        ({"kind": "eks", "namespace": "Ai", "subnets": [1, "?"], "foo": 1}, [
            "context", "namespace", "name", "region", "subnets[0]", "subnets[1]", "node-role", "foo",
        ]),
        ({**EKS, "node_role": "nodes", "context": ""}, ["context", "node_role"]),
        ({"namespace": "default", "foo": None}, ["kind", "namespace", "foo"]),
    ],
    ids=["unknown kind", "a cloud", "spelled as in code", "no kind"],
)  # fmt: skip
def test_all_problems_of_a_cluster_are_reported_at_once(cluster: object, lines: list[str]) -> None:
    assert [line.partition(": ")[0] for line in _of(cluster)] == [f"larder:cluster.{line}" for line in lines]


@pytest.mark.parametrize(
    ("cluster", "lines"),
    [
        ({"kind": "esk"}, [f"larder:cluster.kind: 'esk' is not one of the choices. Did you mean 'eks'? {CHOICES}"]),
        ({"kind": ["eks"]}, [f"larder:cluster.kind: ['eks'] is not one of the choices. {CHOICES}"]),
        ({"kind": 1}, [f"larder:cluster.kind: 1 is not one of the choices. {CHOICES}"]),
        ({"kind": ""}, [f"larder:cluster.kind: '' is not one of the choices. {CHOICES}"]),
        (
            {"context": "a"},
            ["larder:cluster.kind: is missing. Fix: add it. Kind of the cluster: embedded, on-prem, eks, gke or aks."],
        ),
        (["eks"], [f"larder:cluster: must be a mapping, not ['eks']. Keys: {KEYS}."]),
        (
            {**EKS, "project": "p"},
            ["larder:cluster.project: a cluster of kind eks has no project. Fix: remove the key."],
        ),
        (
            {key: value for key, value in EKS.items() if key != "region"},
            [
                "larder:cluster.region: kind eks requires this key. Fix: add it. "
                "The AWS region of the cluster, as in eu-central-1."
            ],
        ),
        ({**EKS, "regoin": "x"}, ["larder:cluster.regoin: unknown key. Did you mean 'region'? Fix: use one of "
                 f"{KEYS}."]),
        ({**EKS, "subnets": []}, [
            "larder:cluster.subnets: must not be empty. Fix: add an item. Ids of the subnets that get the "
            "machines, as in "
            "subnet-0a1b2c3d4e5f."
        ]),
    ],
)  # fmt: skip
def test_an_error_names_the_kind_or_the_keys_of_all_kinds(cluster: object, lines: list[str]) -> None:
    assert _of(cluster) == lines


def test_null_counts_as_absent_for_keys_of_some_kinds() -> None:
    assert _of({**EKS, "project": None}) == []
    assert _of({**EKS, "region": None}) == _of({key: value for key, value in EKS.items() if key != "region"})
    (line,) = _of({**EKS, "namespace": None})
    assert line.startswith("larder:cluster.namespace: ")


@pytest.mark.parametrize("path", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_a_cluster_is_read_as_the_class_of_its_kind(path: Path) -> None:
    file = yaml.safe_load(path.read_text())["config"]
    pools = {"cpu": next(iter(file["larder:node-pools"].values()))}
    changes = {"larder:cluster": file["larder:cluster"], "larder:node-pools": pools}
    cluster = settings_of({**GOOD, **changes, "larder:cache": {"strategy": "none"}}).cluster
    assert type(cluster) is KINDS[file["larder:cluster"]["kind"]]


class WithoutFacts(ClusterSettings):
    kind: Literal["bare"]


class OfTwoKinds(ClusterSettings):
    FACTS: ClassVar[Facts] = Facts(pools="a:B", machines=None, storage_classes={})
    kind: Literal["one", "two"]


@pytest.mark.parametrize("cluster", [WithoutFacts, OfTwoKinds])
def test_the_table_refuses_a_class_without_facts_or_kind(cluster: type[ClusterSettings]) -> None:
    with pytest.raises(TypeError, match=rf"^{cluster.__name__} needs FACTS, and a kind that is a Literal of one word$"):
        by_kind(cluster)


def test_a_class_with_a_missing_fact_is_refused() -> None:
    with pytest.raises(TypeError, match="storage_classes"):
        Facts(pools="a:B", machines=None)  # type: ignore[call-arg]  # the point of the test


@pytest.mark.parametrize(("block", "is_it"), [({"kind": "embedded"}, True), ({"kind": "eks"}, False)] + [
    (block, False) for block in ({"kind": ["embedded"]}, {"kind": "new"}, {}, "embedded", None)
])  # fmt: skip
def test_the_testbed_is_recognized_before_the_settings_are_read(block: object, is_it: bool) -> None:
    assert is_testbed(block) is is_it


def _compared(file: Path) -> Iterator[str]:
    """Yield every literal word in a comparison of the code."""
    for node in nodes(file):
        if isinstance(node, ast.Compare):
            sides: list[ast.expr] = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        else:
            continue
        for side in sides:
            yield from (
                item.value for item in ast.walk(side) if isinstance(item, ast.Constant) and isinstance(item.value, str)
            )


def _words(file: Path) -> Iterator[str]:
    yield from (node.value for node in nodes(file) if isinstance(node, ast.Constant) and isinstance(node.value, str))


CODE = {name: file for name, file in modules() if not name.startswith(REGISTRY)}


@READS_CODE
def test_no_code_compares_kinds_outside_the_table() -> None:
    assert len(CODE) > 100
    assert [(name, word) for name, file in CODE.items() for word in _compared(file) if word in KINDS] == []


@READS_CODE
def test_no_module_of_the_program_names_a_kind_outside_the_table() -> None:
    program = {name: file for name, file in CODE.items() if name.startswith(("components", "preview", "policies"))}
    assert len(program) > 80
    assert [(name, word) for name, file in program.items() for word in _words(file) if word in KINDS] == []


PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("kind", clouds())
def test_the_package_of_each_cloud_is_an_extra_and_known_to_mypy(kind: str) -> None:
    provider = clouds()[kind].provider
    (requirement,) = PROJECT["project"]["optional-dependencies"][provider.extra]
    assert requirement.startswith(f"pulumi-{provider.package}>=")
    assert f"\npulumi-{provider.package}==" in "\n" + (ROOT / "requirements.clouds.lock").read_text()
    module = f"pulumi_{provider.package.replace('-', '_')}"
    follow = {name: each["follow_imports"] for each in PROJECT["tool"]["mypy"]["overrides"]
              if "follow_imports" in each for name in each["module"]}  # fmt: skip
    assert (follow[module], follow[f"{module}.*"]) == ("skip", "silent")
