"""Which engines `make up` builds: those of the stack file, and no others."""

from pathlib import Path

import pytest

from testbed import up


@pytest.mark.parametrize(
    ("blocks", "engines"),
    [
        ("  larder:ollama: {pool: cpu}\n", ["ollama"]),
        ("  larder:shimmy: {pool: cpu}\n  larder:hub: {engine: shimmy}\n", ["llama-server"]),
        ("  larder:shimmy: {pool: cpu, engine: shimmy}\n", ["shimmy"]),
        ("  larder:shimmy:\n    engine: llama-server\n  larder:ollama:\n    pool: cpu\n", ["ollama", "llama-server"]),
        ("  larder:kserve: {pool: rocm}\n", ["vllm"]),
        ("  # larder:kserve: {}\n  # larder:shimmy: {pool: cpu}\n", []),
    ],
)
def test_the_engines_are_those_of_the_stack_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocks: str, engines: list[str]
) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(f"config:\n{blocks}")
    monkeypatch.setattr(up, "STACKS", tmp_path)
    assert up.engines() == engines
