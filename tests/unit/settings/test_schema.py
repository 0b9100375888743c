"""The JSON Schema and the documentation match the models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from larder_sidecar.config.base import kebab

from components import ROOT
from components.caching import STRATEGIES
from components.settings import Settings, schema, strategies, tables
from components.settings.places import Place


def test_the_committed_schema_is_that_of_the_models() -> None:
    assert schema.FILE.read_text() == schema.text(), (
        "run: python -m components.settings.schema > components/settings/schema.json"
    )


FILES = [ROOT / f"Pulumi.{stack}.yaml" for stack in ("dev", "prod-aws", "prod-azure", "prod-gcp", "staging", "venus")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_stack_file_points_editors_to_the_schema(path: Path) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=components/settings/schema.json\n")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_block_of_every_stack_file_is_in_the_schema(path: Path) -> None:
    known = schema.schema()["properties"]["config"]["properties"]
    blocks = {key for key in yaml.safe_load(path.read_text())["config"] if key.startswith("larder:")}
    assert {"larder:cluster", "larder:cache"} <= blocks <= set(known)


def _paths(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{kebab(name)}"
        yield path, field
        if block := Place.of(field).any_block:
            yield from _paths(block, f"{path}.")


SETTINGS = dict(_paths(Settings, "larder:"))


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_is_documented(path: str) -> None:
    assert f"`{path}`" in (ROOT / "docs" / "settings.md").read_text()


def test_the_tables_of_the_page_match_the_settings() -> None:
    text = tables.PAGE.read_text()
    assert text.count("<!-- settings of larder:") == text.count("<!-- end -->") > 0
    assert text == tables.page(text), "run: python -m components.settings.tables"


def test_a_table_names_the_kinds_that_require_a_setting() -> None:
    rows = {row.split("|")[1].strip(): row for row in tables.table("larder:cluster").splitlines()}
    assert rows["`larder:cluster.kind`"].endswith("| required |")
    assert rows["`larder:cluster.name`"].endswith("| required on `eks`, `gke`, `aks` |")
    assert rows["`larder:cluster.region`"].endswith("| required on `eks` |")
    assert rows["`larder:cluster.namespace`"].endswith("| `ai` |")
    assert rows["`larder:cluster.context`"].endswith("| larder if embedded; required elsewhere |")
    assert "embedded \\| on-prem" in tables.table("larder:cluster")


def test_a_block_with_its_own_table_is_one_row_of_the_table_around_it() -> None:
    own = {"larder:gateway", "larder:gateway.residency"}
    around, inside = (tables.table(key, own) for key in sorted(own))
    assert "`larder:gateway.residency`" in around
    assert "`larder:gateway.residency.pin`" not in around
    assert "`larder:gateway.residency.pin`" in inside
    assert "`larder:gateway.residency.pin`" in tables.table("larder:gateway")


def test_an_item_of_a_list_has_brackets_and_one_of_a_mapping_a_name() -> None:
    assert "`larder:gateway.routing.rules[].model`" in tables.table("larder:gateway.routing.rules")
    assert "`larder:node-pools.<name>.hosts`" in tables.table("larder:node-pools")


@pytest.mark.parametrize("key", ["larder:nothing", "larder:gateway.nothing"])
def test_a_table_of_an_unknown_block_is_an_error(key: str) -> None:
    with pytest.raises(KeyError):
        tables.table(key)


@pytest.mark.parametrize("path", SETTINGS)
def test_every_setting_has_a_description(path: str) -> None:
    assert SETTINGS[path].description


def test_every_strategy_has_settings_and_a_component_and_is_a_choice() -> None:
    cache = schema.schema()["$defs"]["Cache"]["properties"]
    assert list(STRATEGIES) == list(strategies.STRATEGIES) == cache["strategy"]["enum"]
    assert {name for name, facts in strategies.STRATEGIES.items() if facts.HELP} == cache.keys() - {
        "strategy",
        "min-bandwidth",
    }
