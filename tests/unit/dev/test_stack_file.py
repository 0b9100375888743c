"""`make up` builds and serves the engines and models of the stack file, read by the program's own settings."""

import json
from pathlib import Path

import pytest

from components import ROOT
from dev import python, stack_file
from dev.progress import CommandError
from preview.__main__ import main

STACK = (ROOT / "Pulumi.dev.yaml").read_text()
OLLAMA = "  larder:ollama: {pool: cpu, cpu: 500m}\n"
MODELS = "  larder:models: [tinyllama-1.1b-chat]\n"
POOLS = "    cpu: {hosts: [larder]}\n"
ROCM = "    rocm: {hosts: [larder], accelerator: amd.com/gpu}\n"


def written(folder: Path, blocks: str) -> Path:
    text = STACK
    for old, new in (
        (OLLAMA, blocks),
        (MODELS, "  larder:models: [tiny-random, tiny-second]\n"),
        (POOLS, POOLS + ROCM),
        ("strategy: none", "strategy: node-local"),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "Pulumi.dev.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("blocks", "engines"),
    [
        (OLLAMA, ["ollama"]),
        ("  larder:shimmy: {pool: cpu}\n  larder:hub: {endpoint: 'http://hub'}\n", ["llama-server"]),
        (
            f"  larder:shimmy: {{pool: cpu, models: [tiny-second], engine: shimmy}}\n{OLLAMA}",
            ["ollama", "shimmy"],
        ),
        (
            f"  'larder:shimmy':\n    pool: cpu\n    models: [tiny-second]\n    # engine: shimmy\n{OLLAMA}",
            ["ollama", "llama-server"],
        ),
        (f"{OLLAMA}  # larder:kserve: {{}}\n  # larder:shimmy: {{pool: cpu}}\n", ["ollama"]),
        (f"{OLLAMA}  larder:kserve: {{pool: rocm, active: tiny-second}}\n", ["ollama", "vllm"]),
    ],
)
def test_the_engines_are_those_of_the_stack_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], blocks: str, engines: list[str]
) -> None:
    assert main(["check", "--json", "--folder", str(written(tmp_path, blocks))]) == 0
    assert json.loads(capsys.readouterr().out)["engines"] == engines


@pytest.mark.parametrize(
    ("models", "served"),
    [
        ("[tinyllama-1.1b-chat]  # tiny-second is another", ["tiny-random"]),
        ("[tiny-second]", ["tiny-second"]),
        ("\n    - tiny-second\n    - tiny-random", ["tiny-random", "tiny-second"]),
    ],
)
def test_without_a_hub_the_tiny_models_of_the_file_are_served_else_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], models: str, served: list[str]
) -> None:
    text = STACK.replace("larder:models: [tinyllama-1.1b-chat]", f"larder:models: {models}")
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    assert main(["check", "--json", "--folder", str(tmp_path), "--model=tiny-random", "--model=tiny-second"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == served


def test_make_up_reads_the_file_in_the_environment_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python, "ensure", lambda: None)
    monkeypatch.setattr(stack_file, "STACKS", written(tmp_path, OLLAMA))
    assert stack_file.read("--node=larder") == stack_file.StackFile(("ollama",), ("tiny-random", "tiny-second"))
    with pytest.raises(CommandError, match=r"Pulumi\.dev\.yaml cannot be deployed:\nlarder:node-pools\.cpu\.hosts"):
        stack_file.read("--node=venus")
