"""Residency and replicas, in the configuration of engines and gateways."""

from collections.abc import Callable
from typing import Any

import pytest
from larder_sidecar.config.gateway import GatewayConfig

from components.settings import SettingsError
from tests.program.previews import Preview

Previews = Callable[..., Preview]
MODELS = {"larder:models": ["tinyllama-1.1b-chat", "tiny-random", "tiny-second"]}
THREE = {**MODELS, "larder:ollama": {"pool": "cpu", "replicas": 3}}


def gateway(seen: Preview, name: str = "larder-gateway") -> GatewayConfig:
    return GatewayConfig.from_json(seen.named()[f"ConfigMap {name}"].inputs["data"]["gateway.json"])


def residency(**more: Any) -> dict[str, Any]:
    return {**MODELS, "larder:gateway": {"residency": more}}


def test_the_gateway_manages_residency_of_engines_that_load_on_demand(preview: Previews) -> None:
    rules = gateway(preview("none", MODELS)).residency
    assert rules
    assert (rules.strategy, rules.max_models, rules.eviction, rules.keep_alive) == ("ram", 3, "lru", 1800)
    stack = {"larder:shimmy": {"pool": "cpu", "engine": "shimmy"}, "larder:ollama": None}
    alone = preview("none", {"larder:models": ["tiny-random"], **stack})
    assert gateway(alone, "larder-gateway-shimmy").residency is None


def test_there_are_at_most_as_many_slots_as_models(preview: Previews) -> None:
    rules = gateway(preview("none", {"larder:models": ["tiny-random"]})).residency
    assert rules
    assert rules.max_models == 1


def test_memory_is_for_as_many_models_as_may_be_loaded(preview: Previews) -> None:
    def memory(seen: Preview) -> str:
        return str(seen.engine()["resources"]["limits"]["memory"])

    three, one = preview("none", residency()), preview("none", residency(**{"max-models": 1}))
    assert (memory(three), memory(one)) == ("1472Mi", "1216Mi")


def test_a_load_may_take_as_long_as_moving_the_weights(preview: Previews) -> None:
    rules = gateway(preview("none", {**MODELS, "larder:cache": {"min-bandwidth": "1MiB/s"}})).residency
    assert rules
    assert rules.load_seconds == rules.wait_seconds > 638 + 100


def test_durations_are_human_readable(preview: Previews) -> None:
    block = {"keep-alive": "1h", "min-residency": 0, "max-wait": "2m", "heartbeat": "20s", "memory": "24Gi"}
    rules = gateway(preview("none", residency(**block))).residency
    assert rules
    told = (rules.keep_alive, rules.min_residency, rules.max_wait, rules.heartbeat_seconds, rules.memory)
    assert told == (3600, 0, 120, 20, 24 * 2**30)


def test_each_engine_gets_the_pins_of_its_own_models(preview: Previews) -> None:
    stacks = {
        "larder:ollama": {"pool": "cpu", "models": ["tinyllama-1.1b-chat", "tiny-random"]},
        "larder:shimmy": {"pool": "cpu", "models": ["tiny-second"]},
    }
    seen = preview("node-local", {**residency(pin=["tiny-random"], preload=["tiny-second"]), **stacks})
    ollama, shimmy = gateway(seen).residency, gateway(seen, "larder-gateway-shimmy").residency
    assert ollama
    assert shimmy
    assert (ollama.pin, ollama.preload, shimmy.pin, shimmy.preload) == (["tiny-random"], [], [], ["tiny-second"])


BAD = [
    (
        {"strategy": "disk"},
        "larder:gateway.residency.strategy: 'disk' is not one of the choices. Fix: choose one of ram, ssd, none.",
    ),
    (
        {"keep-alive": "30"},
        "larder:gateway.residency.keep-alive: '30' is not a duration. Fix: write a whole number with s",
    ),
    ({"keep-alive": "40h"}, "larder:gateway.residency.keep-alive: '40h' is more than a day."),
    ({"pin": ["nobody"]}, "larder:gateway.residency.pin[0]: 'nobody' is not among larder:models."),
    ({"max-models": 0}, "larder:gateway.residency.max-models: "),
    (
        {"strategy": "ssd", "preload": ["tiny-random", "tiny-second"]},
        "larder:gateway.residency.max-models: in larder:ollama, at most 1 may be loaded at a time, but pin and ",
    ),
    (
        {"strategy": "ssd", "pin": ["tiny-random"]},
        "larder:gateway.residency.pin: in larder:ollama, the pinned models take every place that max-models has (1)",
    ),
    (
        {"strategy": "none", "preload": ["tiny-random"]},
        "larder:gateway.residency.preload: in larder:ollama, it has no effect with keep-alive 0, which unloads",
    ),
]


@pytest.mark.parametrize(("block", "said"), BAD)
def test_impossible_rules_are_refused_at_preview(preview: Previews, block: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        preview("none", residency(**block))
    (problem,) = refused.value.lines
    assert problem.startswith(said)


def test_a_pin_is_of_a_model_whose_engine_loads_on_demand(preview: Previews) -> None:
    stacks = {
        "larder:ollama": {"pool": "cpu", "models": ["tinyllama-1.1b-chat", "tiny-random"]},
        "larder:shimmy": {"pool": "cpu", "models": ["tiny-second"], "engine": "shimmy"},
    }
    with pytest.raises(
        SettingsError, match=r"pin: 'tiny-second' is in no engine that loads on demand\. Fix: choose one of tiny"
    ):
        preview("none", {**residency(pin=["tiny-second"]), **stacks})


def test_one_pin_for_each_of_two_engines_fits(preview: Previews) -> None:
    stacks = {
        "larder:ollama": {"pool": "cpu", "models": ["tinyllama-1.1b-chat"]},
        "larder:shimmy": {"pool": "cpu", "models": ["tiny-random"]},
    }
    pins = ["tinyllama-1.1b-chat", "tiny-random"]
    block = {"larder:models": pins, "larder:gateway": {"residency": {"strategy": "ssd", "pin": pins}}}
    assert preview("none", {**stacks, **block}).named()


def test_pulled_models_count_as_slots(preview: Previews) -> None:
    stack = {"larder:shimmy": {"pool": "cpu", "pulls": {}}, "larder:ollama": None, "larder:models": ["tiny-random"]}
    seen = preview("none", stack)
    rules = gateway(seen, "larder-gateway-shimmy").residency
    assert rules
    assert rules.max_models == 3
    arguments = seen.engine()["args"]
    assert arguments[arguments.index("--models-max") + 1] == "3"
    block = {"larder:gateway": {"residency": {"strategy": "ssd", "pin": ["tiny-random"]}}}
    with pytest.raises(SettingsError, match="take every place"):
        preview("none", {**stack, **block})


def test_the_slowest_line_is_a_wait_of_a_day(preview: Previews) -> None:
    slow = preview("none", {**MODELS, "larder:cache": {"min-bandwidth": "1KiB/s"}})
    rules = gateway(slow).residency
    assert rules
    assert rules.wait_seconds == 86_400


def test_the_front_waits_as_long_as_the_gateways_behind_it(preview: Previews) -> None:
    seen = preview("none", {**THREE, "larder:cache": {"min-bandwidth": "512KiB/s"}})
    inner = gateway(seen).residency
    assert inner
    assert gateway(seen, "larder-front").limits.response_seconds > inner.wait_seconds > 600


def test_a_secret_for_changes_is_mounted_beside_every_engine(preview: Previews) -> None:
    seen = preview("none", {**MODELS, "larder:gateway": {"auth": {"secret": "team-token"}}})
    volumes = {volume["name"]: volume for volume in seen.pod()["volumes"]}
    assert volumes["api-token"]["secret"]["secretName"] == "team-token"
    assert gateway(seen).auth.token_file == "/run/secrets/larder/api/token"
    assert "api-token" not in {volume["name"] for volume in preview("none", MODELS).pod()["volumes"]}


def test_the_front_reaches_each_replica(preview: Previews) -> None:
    seen = preview("none", THREE)
    deployment = seen.one("Deployment", "ollama").inputs["spec"]
    assert deployment["replicas"] == 3
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] == "ollama"
    service = seen.one("Service", "ollama-replicas").inputs["spec"]
    assert service["clusterIP"] == "None"
    (engine,) = gateway(seen, "larder-front").engines
    assert (engine.url, engine.replicated) == ("http://ollama-replicas:8080", True)
    (port,) = service["ports"]
    assert port["targetPort"] == "http"


def test_without_a_front_there_is_one(preview: Previews) -> None:
    with pytest.raises(SettingsError, match="no gateway leads to all models of larder:ollama and its replicas"):
        preview("none", {**THREE, "larder:gateway": {"front": False}})


def test_a_pulled_file_is_on_one_replica_alone(preview: Previews) -> None:
    block = {"larder:shimmy": {"pool": "cpu", "replicas": 2, "pulls": {}}, "larder:ollama": None}
    with pytest.raises(SettingsError, match=r"larder:shimmy\.pulls: a pull brings a file to only one replica"):
        preview("none", block)
