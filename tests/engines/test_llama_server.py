"""llama-server in router mode, started as the stack starts it, over a store that fetch filled."""

import json
import tempfile
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.gateway.serve import running
from larder_sidecar.log import Log

from bench.processes import free_port
from components.serving import llama_server
from testbed.hub.repository import Repositories
from testbed.hub.server import Hub
from testbed.hub.tiny_model import tiny_model
from tests.engines.process import Process, built, lacking, placed
from tests.engines.test_ollama_store import CHAT, ENTRY, fill
from tests.sidecar.gateway import download_script
from tests.sidecar.gateway.scripted import ask

PULLED = "Tiny-1B.Q4_K_M"


@pytest.fixture(scope="module")
def router() -> Iterator[Process]:
    binary = built("llama-server", "bin/llama-server")
    if binary is None:
        lacking("no llama-server: build the toolchain with `make up`")
        return
    with tempfile.TemporaryDirectory(prefix="larder-llama-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        store, models = fill(folder, ENTRY.id), folder / "models"
        (models / ".larder" / "parts").mkdir(parents=True)
        presets = folder / llama_server.FILE
        presets.write_text(llama_server.presets([ENTRY]).replace("/weights/ollama", str(store)))
        arguments = [
            argument.replace("8081", str(port)).replace(f"{llama_server.FOLDER}/{llama_server.FILE}", str(presets))
            for argument in llama_server.arguments(1, pulled=str(models))
        ]
        with Process([placed(binary, folder), *arguments], port, folder, {}) as process:
            yield process


async def test_a_pull_through_the_gateway_ends_in_an_answer_of_the_pulled_model(router: Process) -> None:
    folder = router.folder
    Repositories(folder / "hub").publish("org/tiny", f"{PULLED}.gguf", tiny_model(1))
    (folder / "token").write_text("let-me-0123456789")
    with Hub(folder / "hub") as hub:
        config = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "engines": [{"kind": "llama-server", "url": router.url}],
            "models": [{"id": ENTRY.id, "engine-name": ENTRY.id}],
            "pulls": {"folder": str(folder / "models"), "endpoint": hub.url},
            "auth": {"token-file": str(folder / "token")},
        }
        async with running(GatewayConfig.model_validate(config), Log("error")) as gateway:
            for model in (ENTRY.id, PULLED):
                if model == PULLED:
                    wanted = json.dumps({"model": "org/tiny", "filename": f"{PULLED}.gguf"}).encode()
                    pulled = await ask(
                        gateway.port,
                        "/v1/api/pull",
                        wanted,
                        "Content-Type: application/json\r\nAuthorization: Bearer let-me-0123456789\r\n",
                    )
                    assert json.loads(pulled.body.splitlines()[-1])["servable"], pulled.body
                body = json.dumps(CHAT | {"model": model, "max_tokens": 8}).encode()
                answer = await ask(gateway.port, "/v1/chat/completions", body)
                assert json.loads(answer.body)["choices"][0]["message"]["content"].strip(), router.log()
            health = await ask(gateway.port, "/v1/health", method="GET")
            assert (health.status, health.json()["status"]) == (200, "ok")
    # Two models were used, and no more may be loaded than were planned: one.
    states = [model["status"]["value"] for model in router.get("/models")["data"]]
    assert sorted(states) == ["loaded", "unloaded"]


async def test_the_script_of_the_download_service_s_users_passes_as_they_wrote_it(
    router: Process, tmp_path: Path
) -> None:
    folder = router.folder
    Repositories(tmp_path / "hub").publish(download_script.REPO, download_script.FILE, tiny_model(2))
    with Hub(tmp_path / "hub") as hub:
        config = {
            "listen": "127.0.0.1:0",
            "admin": "127.0.0.1:0",
            "engines": [{"kind": "llama-server", "url": router.url}],
            "models": [{"id": ENTRY.id, "engine-name": ENTRY.id}],
            "pulls": {"folder": str(folder / "models"), "endpoint": hub.url},
            "auth": {"mutations": "open"},
        }
        async with running(GatewayConfig.model_validate(config), Log("error")) as gateway:
            status, steps = await download_script.run(gateway.port, tmp_path)
    assert status == 0
    assert download_script.check(steps).strip(), router.log()


def test_the_context_is_the_one_that_memory_was_counted_at(router: Process) -> None:
    (model,) = (m for m in router.get("/models")["data"] if m["id"] == ENTRY.id)
    arguments = model["status"]["args"]
    assert arguments[arguments.index("--ctx-size") + 1] == str(ENTRY.context)
    assert arguments[arguments.index("--cache-ram") + 1] == "0"


@pytest.mark.parametrize("path", ["completions", "responses", "messages"])
def test_it_knows_the_paths_that_the_gateway_lets_through(router: Process, path: str) -> None:
    body = {"model": ENTRY.id, "max_tokens": 4, "prompt": "a", "input": "a", "messages": CHAT["messages"]}
    assert json.loads(router.post(f"/v1/{path}", body))


def test_a_stream_ends_as_the_gateway_expects(router: Process) -> None:
    body = router.post("/v1/chat/completions", CHAT | {"stream": True, "max_tokens": 4})
    assert body.rstrip().endswith("\ndata: [DONE]")


def test_a_model_that_is_not_there_is_refused_not_replaced(router: Process) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        router.post("/v1/chat/completions", CHAT | {"model": "nobody"})
    refused.value.close()
