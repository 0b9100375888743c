"""Activation as a client sees it, against a scripted API server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.manager.history import History

from tests.sidecar.manager.conftest import Client, Repository, Start, put
from tests.sidecar.manager.scripted import INVALID, LOADING, READY, Cluster, Status, becomes_ready


def only(*working: str, otherwise: Status | None) -> Any:
    """Return a controller that makes only some models ready."""
    return lambda content: (
        becomes_ready(content) if content["metadata"]["annotations"]["larder/model"] in working else otherwise
    )


async def test_a_model_is_active_when_the_answer_comes(manager: Client, cluster: Cluster) -> None:
    reply = await manager.activate("alpha")
    assert (reply.status, reply.body) == (200, {"active": "alpha"})
    assert cluster.object is not None
    predictor = cluster.object["spec"]["predictor"]
    assert predictor == {
        "minReplicas": 1,
        "model": {
            "runtime": "vllm-runtime",
            "modelFormat": {"name": "custom"},
            "storageUri": "pvc://models/alpha",
            "args": ["--served-model-name=alpha"],
        },
    }
    status = (await manager.get("/active")).body
    assert status["active"] == {"id": "alpha", "state": "ready", "reason": "", "storage-uri": "pvc://models/alpha"}
    assert (status["changing"], status["last"]["outcome"]) == (None, "ready")


async def test_a_model_without_weights_is_refused_with_a_list_of_others(
    start: Start, repository: Repository, cluster: Cluster, config: dict[str, Any]
) -> None:
    repository.publish("alpha", "beta")
    service = {**config["inference-service"], "storage-uri": None, "sources": {"beta": "hf://org/beta:main"}}
    async with start(**{"inference-service": service}) as manager:
        refused = await manager.activate("alpha")
        assert refused.status == 409
        assert "weights of alpha are not cached here. Cached models: beta" in json.dumps(refused.body)
        assert cluster.object is None
        assert (await manager.activate("beta")).status == 200
    assert cluster.object is not None
    assert cluster.object["spec"]["predictor"]["model"]["storageUri"] == "hf://org/beta:main"


async def test_it_is_applied_on_the_server_and_not_by_force(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    assert cluster.asked[0] == (
        "PATCH /apis/serving.kserve.io/v1beta1/namespaces/ai/inferenceservices/active-llm"
        "?fieldManager=larder-manager&fieldValidation=Strict"
    )


async def test_readiness_of_the_previous_model_does_not_count(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    looked = asyncio.Event()
    stale = [{"observedGeneration": 1, **READY}] * 3

    def controller(content: dict[str, Any]) -> Status:
        if stale:
            return stale.pop()
        looked.set()
        return READY

    cluster.controller = controller
    assert (await manager.activate("beta")).status == 200
    assert looked.is_set()


async def test_a_model_that_never_becomes_ready_is_rolled_back(
    start: Start, repository: Repository, cluster: Cluster
) -> None:
    repository.publish("alpha", "beta")
    cluster.controller = only("alpha", otherwise=LOADING)
    async with start(**{"slack-seconds": 1}) as client:
        assert (await client.activate("alpha")).status == 200
        reply = await client.activate("beta")
        status = (await client.get("/active")).body
    assert (reply.status, reply.body["error"]["code"]) == (502, "activation_failed")
    assert reply.message == "not ready within 1 s: Loading: 40 %. 'alpha' is ready again"
    assert (status["active"]["id"], status["last"]["reason"]) == ("alpha", "went back")


async def test_a_spec_that_kserve_calls_invalid_is_not_waited_for(manager: Client, cluster: Cluster) -> None:
    cluster.controller = only(otherwise=INVALID)
    reply = await manager.activate("alpha")
    assert reply.status == 502
    assert reply.message.startswith("NoSupportingRuntime: no runtime found. There is no earlier model to go back to")


async def test_a_failed_rollback_is_reported(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    cluster.controller = only(otherwise=INVALID)
    reply = await manager.activate("beta")
    assert "The return to 'alpha' failed too: NoSupportingRuntime" in reply.message


async def test_the_problem_of_a_pod_is_the_reason(start: Start, repository: Repository, cluster: Cluster) -> None:
    repository.publish("alpha")
    cluster.controller = only(otherwise=LOADING)
    waiting = {
        "name": "kserve-container",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such\nimage"}},
    }
    cluster.lists["pods"] = [{"metadata": {"name": "p"}, "status": {"containerStatuses": [waiting]}}]
    async with start(**{"slack-seconds": 0.1}) as client:
        reply = await client.activate("alpha")
    assert "container kserve-container: ImagePullBackOff: no such image" in reply.message


@pytest.mark.parametrize(
    ("status", "body", "answered", "says"),
    [
        (409, b'{"message": "conflict with \\"kubectl\\": .spec"}', 409, 'owns its fields: conflict with "kubectl"'),
        (422, b'{"message": "spec is wrong"}', 422, "spec is wrong"),
        (400, b'{"message": "admission webhook denied"}', 422, "admission webhook denied"),
        (403, b'{"message": "forbidden"}', 503, "denies it: forbidden"),
        (401, b'{"message": "Unauthorized"}', 503, "Unauthorized"),
        (404, b"404 page not found\n", 503, "KServe or the namespace does not exist: 404 page not found"),
        (500, b"<html>\xff" + b"x" * 100_000, 503, "<html>"),
        (200, b"[]", 503, "is an API server"),
        (200, b"[" * 100_000, 503, "is an API server"),
        (302, b"", 503, "answers 302"),
    ],
)
async def test_a_refusal_of_the_api_server_changes_nothing(
    manager: Client, cluster: Cluster, status: int, body: bytes, answered: int, says: str
) -> None:
    cluster.refusals["PATCH"] = (status, body)
    reply = await manager.activate("alpha")
    assert reply.status == answered
    assert says in reply.message
    assert len(reply.message) < 700
    known = 400 <= status < 500  # else it may have been taken
    assert (await manager.get("/active")).body["last"]["outcome"] == ("refused" if known else "failed")


async def test_a_brief_outage_of_the_api_server_is_retried(manager: Client, cluster: Cluster) -> None:
    cluster.controller = only(otherwise=LOADING)
    change = asyncio.create_task(manager.activate("alpha"))
    await asyncio.to_thread(cluster.gets.acquire)
    cluster.refusals["GET"] = (503, b"etcd is away")
    await asyncio.to_thread(cluster.gets.acquire)
    cluster.controller = becomes_ready
    cluster.refusals.clear()
    assert (await change).status == 200


async def test_an_unreachable_api_server_is_reported(
    start: Start, repository: Repository, config: dict[str, Any]
) -> None:
    repository.publish("alpha")
    async with start(api={**config["api"], "url": "https://127.0.0.1:9"}) as client:
        for reply in (await client.activate("alpha"), await client.get("/active")):
            assert reply.status == 503
            assert "does not answer" in reply.message


async def test_a_renewed_account_token_is_the_one_that_is_sent(
    manager: Client, cluster: Cluster, config: dict[str, Any]
) -> None:
    await manager.get("/active")
    put(config["api"]["token-file"], "renewed\n")
    await manager.get("/active")
    assert cluster.tokens == ["Bearer account-token", "Bearer renewed"]
    put(config["api"]["token-file"], "")
    assert "contains no token of a ServiceAccount" in (await manager.get("/active")).message
    assert "account-token" not in manager.log.text


async def test_one_change_at_a_time_and_others_are_told_which(manager: Client, cluster: Cluster) -> None:
    cluster.controller = only(otherwise=LOADING)
    change = asyncio.create_task(manager.activate("alpha"))
    await asyncio.to_thread(cluster.gets.acquire)
    for reply in (await manager.activate("beta"), await manager.post("/models/deactivate")):
        assert (reply.status, reply.body["error"]["code"]) == (409, "change_under_way")
        assert reply.message.startswith("'alpha' has been changing to ready for 0 s")
    assert (await manager.get("/active")).body["changing"]["id"] == "alpha"
    cluster.controller = becomes_ready
    assert (await change).status == 200
    assert (await manager.activate("beta")).status == 200


async def test_a_change_goes_on_when_its_client_has_gone(manager: Client, cluster: Cluster) -> None:
    cluster.controller = only(otherwise=LOADING)
    change = asyncio.create_task(manager.activate("alpha"))
    await asyncio.to_thread(cluster.gets.acquire)
    change.cancel()
    await asyncio.wait({change})
    cluster.controller = becomes_ready
    async with asyncio.timeout(5):
        while (status := (await manager.get("/active")).body)["changing"]:
            pass
    assert (status["active"]["id"], status["last"]["outcome"]) == ("alpha", "ready")


async def test_deactivated_it_serves_nothing_until_a_model_is_activated_again(
    manager: Client, cluster: Cluster
) -> None:
    assert (await manager.post("/models/deactivate")).status == 409
    await manager.activate("alpha")
    reply = await manager.post("/models/deactivate")
    assert (reply.status, reply.body) == (200, {"active": None, "was": "alpha"})
    assert (await manager.get("/active")).body["active"]["state"] == "stopped"
    assert (await manager.post("/models/deactivate")).status == 200
    assert (await manager.activate("alpha")).status == 200
    assert (await manager.get("/active")).body["active"]["state"] == "ready"


async def test_a_failure_after_a_stop_goes_back_to_the_stop(manager: Client, cluster: Cluster) -> None:
    await manager.activate("alpha")
    await manager.post("/models/deactivate")
    cluster.controller = lambda content: becomes_ready(content) if cluster.serves() == "alpha" else INVALID
    assert "'alpha' is stopped again" in (await manager.activate("beta")).message


async def test_a_manager_that_ends_records_its_change_as_interrupted(
    start: Start, repository: Repository, cluster: Cluster, config: dict[str, Any]
) -> None:
    repository.publish("alpha", "beta")
    async with start() as client:
        await client.activate("alpha")
        cluster.controller = only("alpha", otherwise=LOADING)
        while cluster.gets.acquire(blocking=False):
            pass
        change = asyncio.create_task(client.activate("beta"))
        await asyncio.to_thread(cluster.gets.acquire)
    await asyncio.wait({change})
    change.exception()
    async with start() as client:
        assert (await client.get("/active")).body["last"]["outcome"] == "interrupted"
        cluster.controller = only("alpha", otherwise=INVALID)
        assert "'alpha' is ready again" in (await client.activate("beta")).message


def test_a_row_that_a_killed_manager_left_open_is_closed_at_the_next_start(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.finish(history.begin("alpha", {"n": 1}), "ready")
    history.begin("beta", {"n": 2})
    history.close()
    again = History(tmp_path)
    last, settled = again.last(), again.last_success()
    assert last is not None
    assert settled is not None
    assert (last.model, last.outcome, settled.model, settled.object) == ("beta", "interrupted", "alpha", {"n": 1})
    again.close()


async def test_the_log_tells_each_change_in_a_line_of_json(manager: Client) -> None:
    await manager.activate("alpha")
    lines = [json.loads(line) for line in manager.log.text.splitlines()]
    assert [line["message"] for line in lines] == [
        "changing the active model",
        "the active model has changed",
        "request",
    ]
