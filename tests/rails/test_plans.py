"""The comparison of plans reports changes of names in state, inputs and order, and ignores texts."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rails import names, plans
from tests.rails.conftest import change
from tests.rails.differences import differences
from tests.rails.trees import Tree, here

URN = "urn:pulumi:dev::larder::larder:platform:Platform$kubernetes:apps/v1:Deployment::engine"
OTHER = URN.replace("engine", "other")


def resource(urn: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": "engine", "labels": {"a": "b"}, "annotations": {plans.DESCRIPTION: "the engine"}}
    inputs = {"metadata": metadata, "data": {"gateway.json": '{"listen": ":8080"}'}}
    return {"urn": urn, "purpose": "the engine", "phase": 80, "depends-on": [], "aliases": [], "inputs": inputs, **more}


def document() -> dict[str, Any]:
    return {
        "status": 0,
        "users": {"memory": "1 GiB"},
        "resources": [resource(URN), resource(OTHER, **{"depends-on": [URN]})],
        "components": ["urn:platform"],
        "outputs": {"url": "http://a"},
        "findings": [{"rule": "limits", "level": "advisory", "where": "engine", "text": "has none"}],
        "support": [{"strategy": "none", "stack": "ollama", "status": "works", "reasons": ["a"]}],
        "problems": ["larder:models: is missing."],
    }


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: Any) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = to

    return change


METADATA = ("resources", 0, "inputs", "metadata")
REPORTED = {
    "another logical name": (_set("resources", 1, "urn", to=f"{OTHER}s"), f"resources.{OTHER}"),
    "a resource that is gone": (lambda found: found["resources"].pop(), f"resources.{OTHER}"),
    "another name": (_set(*METADATA, "name", to="engines"), "inputs.metadata.name"),
    "another label": (_set(*METADATA, "labels", to={"a": "c"}), "inputs.metadata.labels.a"),
    "an annotation": (_set(*METADATA, "annotations", "wait", to="true"), "annotations.wait"),
    "a configuration file": (
        _set("resources", 0, "inputs", "data", "gateway.json", to='{"listen": ":8081"}'),
        "data.gateway.json.listen",
    ),
    "a file's spelling": (
        _set("resources", 0, "inputs", "data", "gateway.json", to='{"listen":":8080"}'),
        "data.gateway.json",
    ),
    "an order": (_set("resources", 1, "depends-on", to=[]), "depends-on"),
    "a component": (_set("components", to=[]), "components"),
    "an export": (_set("outputs", "url", to="http://b"), "outputs.url"),
    "a finding": (_set("findings", to=[]), "findings"),
    "a verdict": (_set("support", 0, "status", to="refused"), "support.ollama none"),
    "a problem's path": (_set("problems", to=["larder:cache: is missing."]), "problems[0]"),
    "a status": (_set("status", to=1), "status"),
}


@pytest.mark.parametrize(("change", "path"), REPORTED.values(), ids=REPORTED)
def test_a_changed_document_is_reported_with_its_path(change: Callable[[Any], None], path: str) -> None:
    after = copy.deepcopy(document())
    change(after)
    found = [str(difference) for difference in plans.compare({"dev": document()}, {"dev": after})]
    assert found
    assert any(path in line for line in found), found
    assert all(line.startswith("dev: ") and " -> " in line for line in found)


TEXTS = {
    "a description": _set(*METADATA, "annotations", plans.DESCRIPTION, to="runs the engine"),
    "a purpose": _set("resources", 0, "purpose", to="runs the engine"),
    "a note for users": _set("users", to={}),
    "the words of a finding": _set("findings", 0, "text", to="lacks one"),
    "the words of a problem": _set("problems", 0, to="larder:models: must be given."),
    "a field that only the later document has": _set("resources", 0, "stage", to=1),
}


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS)
def test_a_changed_text_is_no_difference(change: Callable[[Any], None]) -> None:
    after = copy.deepcopy(document())
    change(after)
    assert list(plans.compare({"dev": document()}, {"dev": after})) == []


def test_a_new_name_with_the_old_one_as_alias_is_no_difference() -> None:
    after = document()
    after["resources"][0] |= {"urn": f"{URN}s", "aliases": ["engine"]}
    after["resources"][1]["depends-on"] = [f"{URN}s"]
    assert list(plans.compare({"dev": document()}, {"dev": after})) == []


def test_items_are_compared_by_their_names_and_their_order_counts() -> None:
    one, other = [{"name": "a", "x": 1}, {"name": "b"}], [{"name": "b"}, {"name": "a", "x": 2}]
    assert [str(found) for found in differences(one, other)] == ["[a].x: 1 -> 2"]
    assert [found.path for found in differences({"l": one}, {"l": one[::-1]})] == ["l"]


def test_a_label_that_the_code_changes_is_reported(changed: Tree, tmp_path: Path) -> None:
    change(changed, '"app.kubernetes.io/part-of": "larder"', '"part-of": "larder"')
    dev = {"dev": ("dev", None)}
    before, after = (plans.record(tree, tmp_path / "plans", dev) for tree in (here(), changed))
    assert len(before["dev"]["resources"]) > 5
    found = [difference.path for difference in plans.compare(before, after)]
    assert [path for path in found if path.endswith("metadata.labels.part-of")]


def test_a_field_of_a_configuration_file_that_the_code_changes_is_reported(changed: Tree) -> None:
    change(changed, "    header_seconds:", '    """Text."""\n    head_seconds:')
    change(changed, '"node-port"', '"port"')
    found = {difference.path for difference in names.compare(names.record(here()), names.record(changed))}
    assert any(path.endswith("limits.header-seconds") for path in found)
    assert any(path.startswith("stack file.") and path.endswith("larder:gateway.node-port") for path in found)


def test_a_schema_is_compared_by_its_settings_and_not_by_how_it_is_put_together() -> None:
    flat: dict[str, Any] = {
        "properties": {"kind": {"enum": ["a", "b"], "title": "Kind"}, "size": {"type": "integer", "default": 3}},
        "additionalProperties": False,
    }
    sizes = {"size": {"type": "integer", "default": 3, "description": "How large."}}
    union = {
        "$defs": {
            "A": {"properties": {"kind": {"const": "a"}, **sizes}},
            "B": {"properties": {"kind": {"const": "b"}}},
        },
        "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
    }
    assert names.settings(flat) == names.settings(union)
    for key, other in (("type", "string"), ("default", 4)):
        changed = {"properties": {**flat["properties"], "size": {**flat["properties"]["size"], key: other}}}
        assert list(names.compare({"f": names.settings(flat)}, {"f": names.settings(changed)}))
