"""The image in vLLM's place takes vLLM's command line, as the ServingRuntime and KServe write it."""

from itertools import pairwise
from pathlib import Path

import pytest

from dev.images.vllm_server import command

GIVEN = [
    "--dtype=float16",
    "--port=8080",
    "--served-model-name=tiny",
    "--max-model-len=512",
    "--tensor-parallel-size=1",
]


def test_it_becomes_llama_server_with_the_model_under_its_name(tmp_path: Path) -> None:
    weights = tmp_path / "tiny.gguf"
    weights.touch()
    line = command([f"--model={weights}", *GIVEN])
    assert line[0] == "llama-server"
    said = dict(pairwise(line))
    assert (said["--model"], said["--alias"], said["--port"], said["--ctx-size"]) == (
        str(weights),
        "tiny",
        "8080",
        "512",
    )


def test_a_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command([f"--model={tmp_path}", *GIVEN])
    assert "is no GGUF file" in capsys.readouterr().err
