"""Fuzz targets for the files of the roles, and for a catalog written by others."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from larder_sidecar.catalog.models import CatalogEntry
from larder_sidecar.config.base import Model
from larder_sidecar.config.document import DocumentError, load_document
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.config.manager import ManagerConfig
from larder_sidecar.config.read import problem_lines
from larder_sidecar.config.weights import WeightsPlan
from larder_sidecar.weights.download.pull import PullTarget
from pydantic import BaseModel, ValidationError

from tests.fuzz.target import Target

_FOLDER = Path(tempfile.gettempdir()) if not Path("/dev/shm").is_dir() else Path("/dev/shm")


def _lines(reason: ValidationError) -> None:
    for line in problem_lines(reason):
        _line(line)


def _line(text: str) -> None:
    assert text.isprintable()
    assert len(text) < 1000


def document(raw: bytes) -> None:
    """Check that a file of a catalog is an entry, or is refused in a short line."""
    path = _FOLDER / f"larder-fuzz-{os.getpid()}"
    path.write_bytes(raw)
    for trusted in (True, False):
        try:
            found = load_document(path, trusted=trusted)
        except DocumentError as reason:
            _line(str(reason))
            continue
        json.dumps(found, default=str)
        try:
            CatalogEntry.model_validate(found)
        except ValidationError as reason:
            _lines(reason)
    path.unlink()


def config(model: type[Model]) -> Callable[[bytes], None]:
    """Check that a file is accepted and round-trips, or is refused line by line."""

    def check(raw: bytes) -> None:
        try:
            found = model.from_json(raw)
        except ValidationError as reason:
            _lines(reason)
            return
        assert model.from_json(found.to_json()) == found

    return check


def body(model: type[BaseModel]) -> Callable[[bytes], None]:
    """Check that a body is accepted or refused."""

    def check(raw: bytes) -> None:
        try:
            model.model_validate_json(raw)
        except ValidationError as reason:
            _lines(reason)

    return check


GATEWAY = {
    "schema": 1,
    "engines": [{"kind": "ollama", "url": "http://127.0.0.1:11434"}],
    "models": [{"id": "tiny", "engine-name": "tiny:q4", "aliases": ["gpt-4o"]}],
    "routing": {"default": "tiny", "rules": [{"pattern": "(?i)code", "max-characters": 9, "model": "tiny"}]},
    "residency": {"strategy": "ram", "max-models": 2, "keep-alive": 1800},
    "limits": {"connections": 10, "body-bytes": 1000},
}
WEIGHTS = {
    "schema": 1,
    "models": [
        {
            "id": "tiny",
            "served-names": ["tiny"],
            "format": "gguf",
            "files": [
                {
                    "path": "tiny.gguf",
                    "url": "https://hub.example/o/t/resolve/" + "a" * 40 + "/tiny.gguf",
                    "revision": "a" * 40,
                    "bytes": 4096,
                    "sha256": "9" * 64,
                }
            ],
        }
    ],
}
TOKENS = [b'"schema":1', b'"a/../b"', b'"http://[::1"', b'":"', b"1e400", b'"\\ud800"', b'"auto"', b'":[{"']
TARGETS = [
    Target(
        "catalog",
        document,
        [
            b"id: tiny\nname: 'Tiny'\nformat: gguf\ncontext: 2048\nneeds: {memory: 1Gi, cpu: 2}\nfacts:\n  - what: a\n",
            b"hub: {repository: o/t, revision: main, files: [{path: a.gguf, bytes: 4096, sha256: first-pull}]}\n",
            b"a: &x [1, *x]\nb: {<<: *x}\n",
            b"? [a]\n: !!binary aGk=\n",
            b"- 1:59:59\n- 0b1\n- .inf\n- 2026-11-30\n",
        ],
        [
            b"!!bool x",
            b"!!int ''",
            b"!!float +",
            b"&a ",
            b"*a",
            b"<<: ",
            b"? ",
            b"- ",
            b"|\n",
            b">-\n",
            b"%YAML 9.9\n---\n",
            b"\t",
        ],
    ),
    Target("gateway.json", config(GatewayConfig), [json.dumps(GATEWAY).encode()], TOKENS),
    Target("weights.json", config(WeightsPlan), [json.dumps(WEIGHTS).encode()], TOKENS),
    Target("manager.json", config(ManagerConfig), [b'{"schema":1}', b"{}"], TOKENS),
    Target("pull-body", body(PullTarget), [b'{"model":"org/repo-GGUF","filename":"a/b.Q4_K_M.gguf"}'], TOKENS),
]
