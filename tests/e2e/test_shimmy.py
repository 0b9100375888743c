"""Stack shimmy in Ollama's place: llama-server with a pull through the endpoint, then Shimmy itself."""

import json
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from dev.progress import CommandError
from dev.toolchain import tools
from testbed.cluster.layout import HUB
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import tiny_model

from .conftest import Platform

pytestmark = pytest.mark.timeout(3600)

TOKEN = "open-sesame-0123456789"
FILE = "Tiny-Two.Q4_K_M.gguf"


def stack_file() -> Path:
    return Path(os.environ["LARDER_STACKS"], "Pulumi.dev.yaml")


def write_stack(block: str) -> None:
    """Put another stack in the place of the one there is."""
    file = stack_file()
    text, count = re.subn(r"(?m)^  larder:(ollama|shimmy): .*$", f"  {block}", file.read_text())
    assert count == 1, "the stack is no longer one line of Pulumi.dev.yaml"
    file.write_text(text)


@pytest.fixture(scope="module")
def stack(platform: Platform) -> Iterator[Platform]:
    before = stack_file().read_text()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "larder-api-token", "namespace": "ai"}}
    platform.apply({**secret, "stringData": {"token": TOKEN}})
    yield platform
    stack_file().write_text(before)
    platform.make("up")


def post(platform: Platform, path: str, body: object, token: str = "") -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(platform.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def chat(platform: Platform, model: str) -> str:
    body = {"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "hi"}]}
    status, answer = post(platform, "/v1/chat/completions", body)
    assert status == HTTPStatus.OK, answer
    return str(json.loads(answer)["choices"][0]["message"]["content"])


def get(platform: Platform, path: str) -> Any:
    with urllib.request.urlopen(platform.url + path, timeout=10) as answer:
        return json.load(answer)


def test_llama_server_takes_ollamas_place_and_serves_what_is_pulled(stack: Platform) -> None:
    write_stack("larder:shimmy: {pool: cpu, pulls: {size: 1Gi}}")
    assert "Larder is up." in stack.make("up")  # a question was answered by the stack's own model
    assert get(stack, "/v1/health")["engine"] == "llama-server"

    made = Repositories(HUB).publish("larder/tiny-two-GGUF", FILE, tiny_model(2))
    wanted = {"model": made.repo, "filename": FILE}
    assert post(stack, "/v1/api/pull", wanted)[0] == HTTPStatus.UNAUTHORIZED
    status, answer = post(stack, "/v1/api/pull", wanted, TOKEN)
    assert status == HTTPStatus.OK, answer
    last = json.loads(answer.splitlines()[-1])
    assert (last["status"], last["path"], last["servable"]) == ("complete", f"/models/{FILE}", True)
    assert {"tiny-random", "Tiny-Two.Q4_K_M"} == {model["id"] for model in get(stack, "/v1/models")["data"]}
    assert chat(stack, "tiny-two")
    assert chat(stack, "tiny-random")
    assert get(stack, "/")["download_status"]["in_progress"] is False


def test_the_pod_is_as_harmless_as_every_other(stack: Platform) -> None:
    (pod,) = stack.get("pods", "-l", "app.kubernetes.io/name=shimmy")["items"]
    for container in [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
    name = pod["metadata"]["name"]
    with pytest.raises(CommandError):
        stack.kubectl("-n", "ai", "exec", name, "-c", "shimmy", "--", "touch", "/models/mine")
    assert TOKEN not in stack.kubectl("-n", "ai", "logs", name, "-c", "gateway")


def test_shimmy_answers_on_a_software_device(stack: Platform) -> None:
    if not tools.SHIMMY.home.exists() and not shutil.which("cargo"):
        pytest.skip("no cargo to build Shimmy with")
    write_stack("larder:shimmy: {pool: cpu, engine: shimmy}")
    assert "Larder is up." in stack.make("up", timeout=2400)  # its answer took a minute: one is enough
    # The pod before, which had pulled a model, answers for some seconds while it drains.
    stack.until(lambda: "yes" if served(stack) == ["tiny-random"] else "", within=30)


def served(stack: Platform) -> list[str]:
    with urllib.request.urlopen(f"{stack.url}/v1/models", timeout=10) as answer:
        return [model["id"] for model in json.load(answer)["data"]]
