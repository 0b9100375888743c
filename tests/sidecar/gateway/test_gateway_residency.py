"""Requests and loaded models: queueing, admission, and answers."""

import asyncio
import json
from pathlib import Path

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway import reload
from larder_sidecar.residency import scheduler
from pydantic import ValidationError

from tests.sidecar.gateway.conftest import CHAT, Lines, Start
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import BEARER, MODELS, With, asked, chat, phase, stats, waiting
from tests.sidecar.gateway.scripted import Client, Engine, admin, ask, connect, request, until


async def test_one_load_admits_all_waiting_requests(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident() as running:
        asking = [asyncio.create_task(asked(running, "a")) for _ in range(5)]
        await waiting(running, 5)
        ollama.free.set()
        answers = await asyncio.gather(*asking)
        assert {answer.status for answer in answers} == {200}
        assert {answer["x-larder-cache"] for answer in answers} == {"miss"}
        assert ollama.loads == ["a:latest"]
        again = await asked(running, "a")
        assert (again["x-larder-cache"], again["x-larder-queue-ms"]) == ("hit", "0")


async def test_a_load_goes_on_when_its_client_leaves(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident() as running:
        async with connect(running.port) as client:
            await client.post(CHAT, chat("a"))
            await waiting(running, 1)
        await waiting(running, 0)
        ollama.free.set()
        assert (await asked(running, "a")).status == 200
        assert ollama.loads == ["a:latest"]
        assert len(ollama.told) == 1


async def test_loaded_models_never_exceed_the_limit(resident: With, ollama: Holding) -> None:
    async with resident(**{"max-models": 2, "eviction": "lru"}) as running:
        for model in "abcacb":
            assert (await asked(running, model)).status == 200
    assert ollama.most == 2
    assert ollama.loads == [f"{model}:latest" for model in "abcab"]


async def test_a_stream_is_never_cut_for_another_model(resident: With, ollama: Holding) -> None:
    ollama.finish.clear()
    async with resident() as running, connect(running.port) as client:
        await client.post(CHAT, chat("a"))
        await client.head()
        other = asyncio.create_task(asked(running, "b"))
        await waiting(running, 1)
        assert ollama.unloads == []
        ollama.finish.set()
        assert (await other).status == 200
        assert ollama.unloads == ["a:latest"]


async def test_requests_for_a_busy_model_wait_behind_one_that_has_waited_long_enough(
    resident: With, ollama: Holding
) -> None:
    ollama.finish.clear()
    async with resident(**{"max-wait": 0.1}) as running, connect(running.port) as client:
        await client.post(CHAT, chat("a"))
        await client.head()
        first = asyncio.create_task(asked(running, "b"))
        await waiting(running, 1)
        await asyncio.sleep(0.2)
        second = asyncio.create_task(asked(running, "a"))
        await waiting(running, 2)
        ollama.finish.set()
        await asyncio.gather(first, second)
    assert [body["model"] for body in ollama.told] == ["a:latest", "b:latest", "a:latest"]


async def test_the_queue_is_bounded(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(queue=2) as running:
        asking = [asyncio.create_task(asked(running, "a")) for _ in range(2)]
        await waiting(running, 2)
        refused = await asked(running, "a")
        assert (refused.status, refused.code, refused["retry-after"]) == (429, "queue_full", "1")
        ollama.free.set()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}


async def test_a_wait_times_out(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"wait-seconds": 0.1}) as running:
        refused = await asked(running, "a")
        assert (refused.status, refused.code) == (503, "model_wait_timeout")
        assert refused["retry-after"]
        assert (await stats(running))["waiting"] == 0


async def test_a_load_times_out(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"load-seconds": 0.1}) as running:
        refused = await asked(running, "a")
        assert (refused.status, refused.code) == (503, "model_load_timeout")
        assert "within 0.1 s" in str(refused.json())


async def test_a_failed_load_is_answered_with_the_engines_message_and_retried(resident: With, ollama: Holding) -> None:
    ollama.refusal = b"model requires more system memory (9 GiB) than is available"
    async with resident() as running:
        refused = await asked(running, "a")
        assert (refused.status, refused.code) == (502, "model_load_failed")
        assert "requires more system memory" in str(refused.json())
        ollama.refusal = b""
        assert (await asked(running, "a")).status == 200
        assert (await stats(running))["failed_loads"] == {"a": 1}


async def test_an_engine_that_is_down_is_503_and_recovers_by_itself(
    resident: With, ollama: Holding, engine: Engine
) -> None:
    async with resident() as running:
        await asked(running, "a")
        await engine.stop()
        refused = await asked(running, "a")  # it was loaded, as far as anybody knew
        assert (refused.status, refused.code, refused["retry-after"]) == (503, "engine_unavailable", "2")
        ollama.held.clear()
        await engine.start()
        for _ in range(100):
            if (await asked(running, "b")).status == 200:
                break
            await asyncio.sleep(0.05)
        assert (await asked(running, "a")).status == 200


async def test_waiting_requests_are_held_while_the_engine_restarts(
    resident: With, ollama: Holding, engine: Engine
) -> None:
    async with resident(limits={"hold-seconds": 5}) as running:
        await engine.stop()
        asking = [asyncio.create_task(asked(running, model)) for model in "aab"]
        await asyncio.sleep(0.7)
        assert not any(one.done() for one in asking)
        await engine.start()
        assert {answer.status for answer in await asyncio.gather(*asking)} == {200}
        assert ollama.loads[0] == "a:latest"


async def test_waiting_requests_are_held_no_longer_than_the_limit(resident: With, engine: Engine) -> None:
    async with resident(limits={"hold-seconds": 0.8}) as running:
        await engine.stop()
        refused = await asked(running, "a")
        assert (refused.status, refused.code) == (503, "engine_unavailable")
        assert (await stats(running))["waiting"] == 0


async def test_none_unloads_after_the_last_answer(resident: With, ollama: Holding) -> None:
    async with resident(strategy="none") as running:
        for _ in range(2):
            await asked(running, "a")
            await until(lambda: not ollama.held, "the unload")
        assert ollama.loads == ollama.unloads == ["a:latest", "a:latest"]
        assert (await stats(running))["evictions"]["expired"] == 2


async def test_an_idle_model_is_unloaded_after_its_keep_alive(resident: With, ollama: Holding) -> None:
    async with resident(**{"keep-alive": 0.3}) as running:
        await asked(running, "a")
        await asyncio.sleep(0.2)
        await asked(running, "a")
        await asyncio.sleep(0.2)
        assert ollama.held == {"a:latest"}
        await until(lambda: not ollama.held, "the end of its keep-alive")


async def test_loads_and_unloads_by_others_are_noticed(
    resident: With, ollama: Holding, monkeypatch: pytest.MonkeyPatch, log: Lines
) -> None:
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    async with resident(**{"max-models": 2}) as running:
        await asked(running, "a")
        ollama.held = {"b:latest"}
        await until(lambda: "the engine has lost a model" in log.text, "the look")
        assert (await phase(running, "a"), await phase(running, "b")) == ("cold", "loaded")
        assert (await asked(running, "b"))["x-larder-cache"] == "hit"
        assert (await asked(running, "a"))["x-larder-cache"] == "miss"


async def test_pins_and_preloads_are_loaded_before_the_gateway_is_ready(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"max-models": 2, "pin": ["b"], "preload": ["c"]}) as running:
        status, told = await admin(running, "/readyz")
        assert (status, told["first_loads_done"]) == (503, False)
        ollama.free.set()
        await until(lambda: ollama.held == {"b:latest", "c:latest"}, "both")
        for _ in range(100):
            if (await admin(running, "/readyz"))[0] == 200:
                break
            await asyncio.sleep(0.01)
        assert (await admin(running, "/readyz"))[0] == 200
        await asked(running, "a")
        assert ollama.held == {"a:latest", "b:latest"}


async def test_a_pin_that_the_engine_refuses_does_not_keep_the_others_from_being_served(
    resident: With, ollama: Holding
) -> None:
    ollama.refusal = b"no such model"
    async with resident(**{"max-models": 2, "pin": ["b"]}) as running:
        await until(lambda: ollama.loads == ["b:latest"], "the try")
        ollama.refusal = b""
        assert (await asked(running, "a")).status == 200
        assert (await admin(running, "/readyz"))[0] == 200


async def test_a_restarted_gateway_is_ready_with_the_loaded_models(resident: With, ollama: Holding) -> None:
    ollama.held = {"b:latest", "c:latest"}
    async with resident(**{"max-models": 3, "pin": ["b"], "preload": ["c"]}) as running:
        for _ in range(100):
            if (await admin(running, "/readyz"))[0] == 200:
                break
            await asyncio.sleep(0.01)
        assert (await admin(running, "/readyz"))[0] == 200
        assert ollama.loads == []


async def test_a_failed_list_fails_no_load_and_frees_no_slot(resident: With, ollama: Holding) -> None:
    """Ollama may be slow to list its models while it moves memory."""
    async with resident() as running:
        ollama.listing = [b""] * 2
        assert (await asked(running, "a")).status == 200
        ollama.listing = [b"", b"rubbish", b'{"models":[{"name":"a:latest","size":1e999}]}']
        assert (await asked(running, "b")).status == 200
    assert ollama.most == 1


async def test_a_model_that_fails_to_unload_keeps_its_slot(resident: With, ollama: Holding) -> None:
    ollama.keeps_all = True
    async with resident(**{"wait-seconds": 0.5}) as running:
        await asked(running, "a")
        refused = await ask(running.port, "/api/llm/unload", b'{"model": "a"}', BEARER)
        assert (refused.status, refused.code) == (502, "model_not_unloaded")
        assert "it stays" in str(refused.json())
        assert (await asked(running, "b")).code == "model_wait_timeout"
        assert ollama.most == 1
        assert len(ollama.unloads) < 5  # it is not asked without pause


async def test_a_load_that_takes_too_long_at_the_start_does_not_keep_the_others_from_being_served(
    resident: With, ollama: Holding
) -> None:
    ollama.free.clear()
    async with resident(**{"load-seconds": 0.1, "preload": ["b"]}) as running:
        for _ in range(100):
            if (await admin(running, "/readyz"))[0] == 200:
                break
            await asyncio.sleep(0.02)
        assert (await admin(running, "/readyz"))[0] == 200


async def test_a_preload_times_out(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(**{"wait-seconds": 0.2}) as running:
        refused = await ask(running.port, "/api/llm/preload", b'{"model": "a"}', BEARER)
        assert (refused.status, refused.code) == (503, "model_wait_timeout")


async def test_a_model_larger_than_the_memory_stays_like_any_other(resident: With, ollama: Holding) -> None:
    async with resident(memory=1) as running:
        for _ in range(3):
            await asked(running, "a")
        assert ollama.loads == ["a:latest"]


async def test_a_reload_keeps_changes_of_operators(
    resident: With, ollama: Holding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "PERIOD", 0.01)
    file = tmp_path / "gateway.json"
    async with resident(file=file, **{"max-models": 3, "pin": ["a"]}) as running:
        await until(lambda: "a:latest" in ollama.held, "the pin")
        unpin = b'{"model": "a", "pinned": false}'
        assert not (await ask(running.port, "/api/llm/pin", unpin, BEARER)).json()["pinned"]
        config = json.loads(file.read_text())
        file.write_text(json.dumps(config | {"routing": {"default": "b"}}))
        for _ in range(100):
            if (await ask(running.port, CHAT, b"{}"))["x-larder-model"] == "b":
                break
            await asyncio.sleep(0.01)
        (told, *_) = (await stats(running))["models"]
        assert not told["pinned"]


async def test_waiting_requests_are_answered_when_the_gateway_ends(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident() as running:
        waits = asyncio.create_task(asked(running, "a"))
        await waiting(running, 1)
    refused = await waits
    assert (refused.status, refused.code, refused["retry-after"]) == (503, "draining", "2")


async def test_stats_begin_with_the_original_fields(resident: With) -> None:
    async with resident() as running:
        await asked(running, "a")
        await asked(running, "a")
        told = await stats(running)
        assert list(told)[:4] == ["cache_strategy", "loaded_models", "cache_hit_rate", "avg_swap_time_ms"]
        assert (told["cache_strategy"], told["loaded_models"], told["cache_hit_rate"]) == ("ssd", ["a"], 0.5)
        assert told["avg_swap_time_ms"] >= 0


async def test_route_reports_the_state_of_the_model(resident: With) -> None:
    async with resident() as running:
        await asked(running, "a")
        told = (await ask(running.port, "/api/llm/route", chat("a"))).json()["residency"]
        assert told == {"phase": "loaded", "waits": False}
        told = (await ask(running.port, "/api/llm/route", chat("b"))).json()["residency"]
        assert told == {"phase": "cold", "waits": True, "unloads": ["a"]}


async def test_without_residency_the_stats_say_so_and_what_rules_chose(start: Start) -> None:
    async with start() as running:
        await ask(running.port, CHAT, b"{}")
        told = await stats(running)
        assert (told["cache_strategy"], told["loaded_models"], told["models"]) == ("engine", [], [])
        assert told["rules_hit"] == {"default": 1}


async def test_other_rules_reach_a_gateway_that_runs(
    resident: With, ollama: Holding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "PERIOD", 0.01)
    file = tmp_path / "gateway.json"
    async with resident(file=file, **{"max-models": 2, "eviction": "lru"}) as running:
        for model in "ab":
            await asked(running, model)
        config = json.loads(file.read_text())
        config["residency"] |= {"max-models": 1}
        file.write_text(json.dumps(config))
        await until(lambda: len(ollama.held) == 1, "the one that is too many to go")
        assert ollama.unloads == ["a:latest"]
        assert (await stats(running))["max_models"] == 1


async def test_it_counts_for_prometheus(resident: With) -> None:
    async with resident() as running:
        for model in "aab":
            await asked(running, model)
        text = (await ask(running.admin_port, "/metrics", method="GET")).body.decode()
        for line in (
            "larder_cache_hits_total 1.0",
            "larder_cache_misses_total 2.0",
            'larder_model_swaps_total{model="b"} 1.0',
            'larder_evictions_total{reason="room"} 1.0',
            "larder_models_loaded 1.0",
            "larder_queue_depth 0.0",
        ):
            assert line in text, line
        assert 'larder_model_load_seconds_count{model="a"} 1.0' in text
        assert "larder_queue_wait_seconds_count 2.0" in text


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"pin": ["z"]}, "residency.pin: 'z' is not among the models: a, b, c"),
        ({"pin": ["a"]}, r"residency.pin: the pinned models take every place that max-models has \(1\)"),
        ({"preload": ["a", "b"]}, "max-models: at most 1 may be loaded at a time, but pin and preload name 2 models"),
        ({"strategy": "none", "preload": ["a"]}, "preload: it has no effect with keep-alive 0"),
    ],
)
def test_rules_that_cannot_hold_are_refused_with_the_file(rules: dict[str, object], said: str) -> None:
    engines = [{"kind": "ollama", "url": "http://e:1"}]
    with pytest.raises(ValidationError, match=said):
        GatewayConfig.model_validate({"engines": engines, "models": MODELS, "residency": {"strategy": "ssd", **rules}})


def test_an_engine_that_loads_nothing_on_demand_has_no_residency() -> None:
    engines = [{"kind": "vllm", "url": "http://e:1"}]
    with pytest.raises(ValidationError, match="residency: vllm loads nothing on demand; ollama and llama-server do"):
        GatewayConfig.model_validate({"engines": engines, "models": MODELS, "residency": {}})


async def test_a_drain_admits_waiting_requests(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident() as running:
        waits = asyncio.create_task(asked(running, "a"))
        await waiting(running, 1)
        stopping = asyncio.create_task(running.stop(0))
        await asyncio.sleep(0.05)
        ollama.free.set()
        assert (await waits).status == 200
        assert await stopping == 0


async def test_clients_that_leave_the_queue_free_their_places(resident: With, ollama: Holding) -> None:
    ollama.free.clear()
    async with resident(queue=3) as running:
        clients: list[Client] = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            clients.append(Client(reader, writer))
            await clients[-1].send(request(CHAT, chat("a")))
        await waiting(running, 3)
        for client in clients:
            await client.leave()
        await waiting(running, 0)
        ollama.free.set()
        assert (await asked(running, "a")).status == 200
        assert len(ollama.told) == 1
