"""A strategy and an engine are their own classes and a line in each registry: no other code names them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.config.engines import ENGINES
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.engines import adapter_of

from components.settings import SettingsError, parse, schema
from components.settings.sources import merged
from preview.__main__ import main
from preview.findings import findings, has_mandatory
from preview.program import stack_config
from tests.program.previews import CATALOG, IMAGES, Preview, preview_of
from tests.program.toys import ENGINE, FACTS, STACK, STRATEGY, ToyAdapter, registered

CACHED: dict[str, Any] = {"larder:cache": {STRATEGY: {"claim": "toys"}}}
TOY_IMAGES = {"larder:images": {**IMAGES, ENGINE: f"registry.example/toy@sha256:{'7' * 64}"}}
ALONE = {**TOY_IMAGES, "larder:ollama": None, "larder:toy": {"pool": "cpu"}}
BESIDE = {
    **TOY_IMAGES,
    "larder:models": ["tinyllama-1.1b-chat", "tiny-random"],
    "larder:toy": {"pool": "cpu", "models": ["tiny-random"]},
}


@pytest.fixture(autouse=True)
def toys() -> Iterator[pytest.MonkeyPatch]:
    with registered() as patch:
        yield patch


def _problems(overlay: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        parse(merged({**stack_config("dev"), "larder:images": IMAGES}, overlay), stack="dev", catalog=CATALOG)
    return refusal.value.lines


def _gateway(seen: Preview, name: str) -> GatewayConfig:
    return GatewayConfig.from_json(seen.named()[f"ConfigMap {name}"].inputs["data"]["gateway.json"])


def test_the_strategy_is_a_choice_of_the_schema_with_its_block() -> None:
    cache = schema.schema()["$defs"]["Cache"]["properties"]
    assert STRATEGY in cache["strategy"]["enum"]
    assert STRATEGY in cache


def test_the_strategy_needs_its_block_and_says_what_is_wrong_in_it() -> None:
    (missing,) = _problems({"larder:cache": {"strategy": STRATEGY}})
    assert missing.startswith(
        f"larder:cache.{STRATEGY}: is missing, but strategy '{STRATEGY}' requires it. Fix: write {{claim}}"
    )
    (wrong,) = _problems({"larder:cache": {"strategy": STRATEGY, STRATEGY: {"claim": "Toys!"}}})
    assert wrong.startswith(f"larder:cache.{STRATEGY}.claim: 'Toys!' is not allowed here.")
    (unlike,) = _problems({"larder:cache": {"strategy": "toy-cash"}})
    assert f"Did you mean '{STRATEGY}'?" in unlike


def test_engines_mount_what_the_strategy_delivers() -> None:
    seen = preview_of(STRATEGY, CACHED)
    claims = [volume.get("persistentVolumeClaim") for volume in seen.pod()["volumes"]]
    assert {"claimName": "toys"} in claims
    assert not has_mandatory(findings(seen.recording, "dev"))


def test_make_plan_tells_the_strategy_with_its_needs_and_the_swap_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, overlay = tmp_path / "plan.json", tmp_path / "overlay.json"
    overlay.write_text(json.dumps({"larder:images": IMAGES}))
    assert main(["plan", "--stack", "dev", "--overlay", str(overlay), "--why", "--json", str(plan)]) == 0
    (verdict,) = [one for one in json.loads(plan.read_text())["support"] if one["strategy"] == STRATEGY]
    assert verdict["status"] == "works"
    assert verdict["change"][0] == f"write {STRATEGY}: {{claim: toys}} under larder:cache"
    assert "fetched by somebody else" in verdict["swap"]
    overlay.write_text(
        json.dumps(merged({"larder:images": IMAGES, **CACHED}, {"larder:cache": {"strategy": STRATEGY}}))
    )
    assert main(["plan", "--stack", "dev", "--overlay", str(overlay), "--why", "--before", str(plan)]) == 0
    told = capsys.readouterr().out
    assert "a claim that holds the weights\n    else: events of the pod: FailedMount" in told
    assert "of weights in claim toys" in told


def test_the_engine_is_behind_its_gateway() -> None:
    seen = preview_of("none", ALONE)
    pod = seen.pod()
    (engine,) = pod["containers"]
    assert (engine["name"], engine["args"]) == (STACK, ["--listen", "127.0.0.1:8082"])
    assert engine["image"].startswith("registry.example/toy@")
    assert "gateway" in [container["name"] for container in pod["initContainers"]]
    gateway = _gateway(seen, f"larder-gateway-{STACK}")
    assert (gateway.engines[0].kind, gateway.residency) == (ENGINE, None)
    assert adapter_of(ENGINE) is ToyAdapter
    assert not has_mandatory(findings(seen.recording, "dev"))


def test_the_gateway_moves_the_models_of_an_engine_that_loads_on_demand(toys: pytest.MonkeyPatch) -> None:
    toys.setitem(ENGINES, ENGINE, replace(FACTS, loads_on_demand=True))
    ssd = {"larder:gateway": {"residency": {"strategy": "ssd"}}}
    residency = _gateway(preview_of("none", {**ALONE, **ssd}), f"larder-gateway-{STACK}").residency
    assert residency
    assert residency.strategy == "ssd"
    with pytest.raises(TypeError, match="ToyAdapter is not the adapter"):
        adapter_of(ENGINE)


def test_the_front_leads_to_the_engine_beside_another_stack() -> None:
    seen = preview_of("node-local", BESIDE)
    front = _gateway(seen, "larder-front")
    assert {engine.name: engine.models for engine in front.engines} == {
        "ollama": ["tinyllama-1.1b-chat"],
        STACK: ["tiny-random"],
    }
    egress = seen.named()["NetworkPolicy larder-front"].inputs["spec"]["egress"]
    assert STACK in json.dumps(egress)


def test_the_engine_needs_an_image_and_a_pool() -> None:
    lacks, *_ = _problems({"larder:ollama": None, "larder:toy": {"pool": "cpu"}})
    assert lacks.startswith(f"larder:images: larder:{STACK} requires {ENGINE}.")
    assert any(
        line.startswith(f"larder:{STACK}.pool: no pool 'gpu'") for line in _problems({"larder:toy": {"pool": "gpu"}})
    )


def test_a_container_of_the_engine_without_a_gateway_is_refused() -> None:
    seen = preview_of("none", ALONE)
    deployment = seen.one("Deployment")
    deployment.inputs["spec"]["template"]["spec"]["initContainers"] = []
    deployment.inputs["spec"]["template"]["spec"]["containers"][0]["name"] = ENGINE
    assert any("no gateway runs in the pod of toy-engine" in one.text for one in findings(seen.recording, "dev"))
