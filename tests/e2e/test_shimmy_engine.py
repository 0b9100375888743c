"""The real Shimmy, started as the stack starts it, on Mesa's software Vulkan device.

A token takes it seconds there, so its answers are the end-to-end tests' to hear.
"""

import tempfile
import urllib.error
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from larder_sidecar.engines.shimmy import Shimmy
from larder_sidecar.gateway.routes import ROUTES

from bench.processes import free_port
from tests.engines.process import Process, built, lacking, placed
from tests.engines.test_ollama_store import ENTRY, fill

PATHS = [path for path, route in ROUTES.items() if route.kind == "infer" and path.startswith("/v1/")]


@pytest.fixture(scope="module")
def shimmy() -> Iterator[Process]:
    binary = built("shimmy", "bin/shimmy")
    if binary is None or not any(Path("/usr/share/vulkan/icd.d").glob("lvp_icd.*")):
        lacking("no Shimmy or no software Vulkan device: `make e2e ONLY=shimmy` builds one and installs the other")
        return
    with tempfile.TemporaryDirectory(prefix="larder-shimmy-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)
        file = str(fill(folder, ENTRY.id) / "gguf" / f"{ENTRY.id}.gguf")
        command: list[str | Path] = [
            placed(binary, folder),
            "serve",
            "--bind",
            f"127.0.0.1:{port}",
            "--model-path",
            file,
        ]
        with Process(command, port, folder, {"SHIMMY_BASE_GGUF": file}) as process:
            yield process


def test_it_knows_the_model_by_the_name_that_the_gateway_sends(shimmy: Process) -> None:
    listed = {model["id"] for model in shimmy.get(Shimmy.names_path)["data"]}
    assert ENTRY.id in listed


@pytest.mark.parametrize("path", PATHS)
def test_it_has_the_paths_that_the_gateway_believes_it_to_have(shimmy: Process, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        shimmy.get(path)  # which is not how one asks, and so costs no answer
    refused.value.close()
    assert (refused.value.code == HTTPStatus.METHOD_NOT_ALLOWED) == (path in Shimmy.paths)
