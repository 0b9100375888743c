"""An engine's facts stand in one table, and program and sidecar have a class for each row."""

import pytest
from larder_sidecar.config.engines import ENGINES, EngineFacts
from larder_sidecar.config.gateway import Engine
from larder_sidecar.engines import ADAPTERS, Resident, adapter_of
from pydantic import ValidationError

from components import serving
from components.settings.images import Images
from components.settings.stacks import STACKS
from tests.source_code import READS_CODE, nodes
from tests.unit.floors import modules
from tests.unit.words import compared


def test_the_gateway_moves_the_models_of_every_engine_that_loads_on_demand() -> None:
    moved = {kind for kind, adapter in ADAPTERS.items() if issubclass(adapter, Resident)}
    assert moved == {kind for kind, facts in ENGINES.items() if facts.loads_on_demand}


@pytest.mark.parametrize(
    "facts",
    [EngineFacts(adapter="shimmy.Shimmy", loads_on_demand=True), EngineFacts(adapter="ollama.Ollama")],
    ids=["no Resident", "a Resident"],
)
def test_an_adapter_that_is_not_as_the_table_says_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, facts: EngineFacts
) -> None:
    kind = ADAPTERS["shimmy"].kind if "shimmy" in facts.adapter else ADAPTERS["ollama"].kind
    monkeypatch.setitem(ENGINES, kind, facts)
    with pytest.raises(TypeError, match="is not the adapter that the table of engines describes"):
        adapter_of(kind)


def test_an_unknown_kind_is_refused_with_the_choices() -> None:
    with pytest.raises(ValidationError, match=r"Input should be 'ollama', .* or 'gateway'"):
        Engine.model_validate({"kind": "olama", "url": "http://127.0.0.1:1"})


def test_every_stack_has_settings_and_a_component() -> None:
    assert list(STACKS) == list(serving.STACKS)


def test_every_engine_of_a_stack_is_in_the_table_and_has_an_image() -> None:
    engines = {engine for stack in STACKS.values() for engine in stack.IMAGES}
    assert engines == ENGINES.keys() - {"gateway"}
    assert engines <= {field.alias for field in Images.model_fields.values()}


def test_an_engine_beside_a_gateway_has_an_address_on_loopback() -> None:
    beside = {engine for stack in STACKS.values() if stack.GATEWAY for engine in stack.IMAGES}
    assert {engine for engine, facts in ENGINES.items() if facts.address.startswith("127.0.0.1:")} == beside
    assert {engine for engine, facts in ENGINES.items() if facts.listens_by} == beside


@READS_CODE
def test_nobody_but_its_own_class_compares_an_engine_or_a_stack_with_a_word() -> None:
    words = {*ENGINES, *STACKS} - {"gateway"}
    own = {f"components.settings.{name}" for name in STACKS}
    found = [
        f"{name}: {text}"
        for name, file in modules()
        if name.startswith(("components", "preview", "policies")) and name not in own
        for text in compared(nodes(file), words)
    ]
    assert found == []
