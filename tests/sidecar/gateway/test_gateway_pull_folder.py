"""The folder of pulls is a claim that others write to: their files, names and links do no harm."""

import asyncio
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.gateway.names import unservable
from larder_sidecar.weights.download import pull as weights_pull
from larder_sidecar.weights.download.fetch import SPARE

from testbed.hub.faults import Faults
from tests.sidecar.gateway import test_gateway_pulls as pulls
from tests.sidecar.gateway.conftest import CHAT, Lines
from tests.sidecar.gateway.scripted import PROPERTY, Engine, Turn, ask, connect, until

pantry = pulls.pantry
Pantry = pulls.Pantry
FILE, PULL, AUTHORIZED = pulls.FILE, pulls.PULL, pulls.AUTHORIZED

UNSERVABLE = {
    "not UTF-8": b"caf\xe9",
    "line end": b"x\r\nset-cookie: evil=1\r\n",
    "quote": b'a"b',
    "backslash": b"a\\b",
    "tag": b"<img src=x onerror=alert(1)>",
    "escape": b"\x1b[31mred",
    "NEL": "a\x85b".encode(),
    "letters of others": "ünï".encode(),
    "bidirectional": "a\u202eb".encode(),
    "no name": b"",
    "leading dot": b".hidden",
    "dots": b"..",
    "option": b"-m",
    "blank at the end": b"a ",
    "colon": b"tiny:latest",
    "long": b"x" * 245,
    "auto": b"auto",
    "Auto": b"AutO",
    "of the catalog": b"Tiny",
    "an alias of the catalog": b"gpt-3.5-turbo",
}
SERVABLE = ("a", "_a", "Llama-3.2-3B-Instruct-Q4_K_M", "model (2)", "a+b@c=d,e.f", "auto-Q4_0", "x" * 127)


def put(folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name + b".gguf")).write_bytes(b"GGUF")


@pytest.mark.parametrize("name", UNSERVABLE.values(), ids=UNSERVABLE.keys())
async def test_an_unservable_name_is_listed_with_the_reason_and_not_served(
    pantry: Pantry, log: Lines, engine: Engine, name: bytes
) -> None:
    put(pantry.models, name)
    async with pantry.gateway() as (running, _):
        models = (await ask(running.port, "/v1/models", method="GET")).json()["data"]
        assert [model["id"] for model in models] == ["tiny", "phi-3-mini"]  # type: ignore[attr-defined]
        info = (await ask(running.port, "/", method="GET")).json()
        assert list(info["unservable"]) == [ascii(os.fsdecode(name))]  # type: ignore[call-overload]
        asked = json.dumps({"model": os.fsdecode(name)}).encode()
        answer = await ask(running.port, CHAT, asked)
        assert answer["x-larder-model"] in ("", "tiny")
        assert (await ask(running.port, CHAT, b'{"model": "tiny"}')).status == 200
        assert (await ask(running.admin_port, "/metrics", method="GET")).status == 200
    assert [json.loads(line) for line in log.text.splitlines()]
    assert "evil" not in log.text


async def test_names_that_need_no_escape_are_served(pantry: Pantry) -> None:
    for name in SERVABLE:
        (pantry.models / f"{name}.gguf").write_bytes(b"GGUF")
    async with pantry.gateway() as (running, _):
        for name in SERVABLE:
            answer = await ask(running.port, CHAT, json.dumps({"model": name}).encode())
            assert (answer.status, answer["x-larder-model"]) == (200, name)
        assert "unservable" not in (await ask(running.port, "/", method="GET")).json()


@PROPERTY
@given(st.text(max_size=150))
def test_a_servable_name_is_valid_in_a_header_a_log_line_and_a_metric(name: str) -> None:
    if not unservable(name):
        assert (name.isascii(), name.isprintable(), name.strip()) == (True, True, name)
        assert not set(name) & set("\"\\<>&'`")
        assert 1 <= len(name) <= 127


async def test_files_that_differ_in_case_are_two_models(pantry: Pantry, engine: Engine) -> None:
    for name in ("Other.gguf", "other.gguf"):
        (pantry.models / name).write_bytes(b"GGUF")
    async with pantry.gateway() as (running, _):
        for name in ("Other", "other"):
            answer = await ask(running.port, CHAT, json.dumps({"model": name}).encode())
            assert (answer.status, answer["x-larder-model"]) == (200, name)
            assert json.loads(engine.requests[-1].body)["model"] == name
        assert (await ask(running.port, CHAT, b'{"model": "OTHER"}')).status == 404


@pytest.mark.parametrize("name", ["auto.gguf", "AUTO.gguf", "folder/Auto.gguf"])
async def test_a_file_with_an_unservable_name_is_not_pulled(pantry: Pantry, name: str) -> None:
    async with pantry.gateway() as (running, hub):
        response = await ask(running.port, PULL, pulls.body(filename=name), AUTHORIZED)
        assert (response.status, response.json()["status"]) == (400, "error")
        assert "leaves the choice" in str(response.json()["error"])
        assert not hub.stats.bytes


async def test_the_list_of_a_folder_with_many_files_is_bounded(pantry: Pantry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_pull, "MAX_FILES", 10)
    for number in range(30):
        (pantry.models / f"m{number}.gguf").touch()
    (pantry.models / "loop.gguf").symlink_to("loop.gguf")
    os.mkfifo(pantry.models / "fifo.gguf")
    async with pantry.gateway() as (running, _):
        models = (await ask(running.port, "/v1/models", method="GET")).json()["data"]
        assert len(models) == 2 + 10  # type: ignore[arg-type]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    for name in ("precious", "tmp", "parts"):
        (folder / name).mkdir(parents=True)
        (folder / name / "data").write_text("data")
    return folder


def files_below(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


LINKS: dict[str, Callable[[Path, Path], None]] = {
    ".larder": lambda models, outside: (models / ".larder").symlink_to(outside),
    ".larder/tmp": lambda models, outside: (models / ".larder/tmp").symlink_to(outside),
    ".larder/parts": lambda models, outside: (models / ".larder/parts").symlink_to(outside),
    ".larder/tmp to the models": lambda models, _: (models / ".larder/tmp").symlink_to("../.."),
    ".larder/tmp to nothing": lambda models, _: (models / ".larder/tmp").symlink_to("/nowhere"),
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS.keys())
async def test_a_pull_follows_no_link_of_others_and_deletes_nothing_behind_it(
    pantry: Pantry, outside: Path, link: Callable[[Path, Path], None]
) -> None:
    (pantry.models / "kept.gguf").write_bytes(b"mine")
    try:
        link(pantry.models, outside)
    except FileNotFoundError:
        (pantry.models / ".larder").mkdir()
        link(pantry.models, outside)
    async with pantry.gateway() as (running, _):
        response = await ask(running.port, PULL, pulls.body(), AUTHORIZED)
        assert response.status == 500
        assert ".larder" in str(response.json()["error"])
        assert "link" in str(response.json()["error"])
    assert files_below(outside) == 3
    assert pantry.files() == ["kept.gguf"]


ODD: dict[str, Callable[[Path], None]] = {
    "FIFO": os.mkfifo,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "dangling link": lambda path: path.symlink_to("/nowhere/x"),
    "folder": Path.mkdir,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("where", ["lease", "target", "part", "log"])
async def test_a_pull_ends_with_any_file_type_in_its_place(
    pantry: Pantry, where: str, make: Callable[[Path], None]
) -> None:
    parts = pantry.models / ".larder" / "parts"
    parts.mkdir(parents=True)
    async with pantry.gateway() as (running, _):
        sha256 = _sha256(pantry)
        path = {
            "lease": pantry.models / ".larder" / "lease",
            "target": pantry.models / FILE,
            "part": parts / sha256,
            "log": parts / f"{sha256}.json",
        }[where]
        make(path)
        response = await asyncio.wait_for(ask(running.port, PULL, pulls.body(), AUTHORIZED), 5)
        assert response.status == {"lease": 500, "target": 409, "part": 200, "log": 200}[where]
        if response.status != 200:
            assert str(path) in str(response.json()["error"])
        else:
            assert pantry.files() == [FILE]


def _sha256(pantry: Pantry) -> str:
    hashes = next((pantry.models.parent / "hub").rglob(".hashes.json"))
    return str(json.loads(hashes.read_text())[FILE]["sha256"])


async def test_a_file_created_meanwhile_is_not_overwritten(pantry: Pantry) -> None:
    stalled = Faults(stall_after=300_000)
    async with pantry.gateway(stalled) as (running, hub), connect(running.port) as client:
        await pulls.follow(client)
        await until(lambda: sum(hub.stats.bytes.values()) == 300_000, "the stall")
        (pantry.models / FILE).write_bytes(b"mine")
        hub.faults = Faults()
        hub.closing.set()
        last: dict[str, Any] = {}
        while last.get("status") != "error":
            last = json.loads(await client.chunk())
        assert "another file" in last["error"]
    assert (pantry.models / FILE).read_bytes() == b"mine"


async def test_a_deletion_during_a_pull_ends_it_and_the_next_pull_succeeds(pantry: Pantry) -> None:
    stalled = Faults(stall_after=300_000)
    async with pantry.gateway(stalled) as (running, hub), connect(running.port) as client:
        await pulls.follow(client)
        await until(lambda: sum(hub.stats.bytes.values()) == 300_000, "the stall")
        for path in (pantry.models / ".larder" / "parts").iterdir():
            path.unlink()
        hub.faults = Faults()
        hub.closing.set()
        last: dict[str, Any] = {}
        while last.get("status") != "error":
            last = json.loads(await client.chunk())
        response = await ask(running.port, PULL, pulls.body(), AUTHORIZED)
        assert response.status == 200
        assert pulls.lines(response.body)[-1]["status"] == "complete"
    assert pantry.files() == [FILE]


@pytest.mark.parametrize("size", [10**12, 10**14, 3 * 10**15, 9 * 10**17])
async def test_an_impossible_size_is_refused_before_any_allocation(pantry: Pantry, size: int) -> None:
    hub = Engine()
    await hub.start()
    facts = f'X-Repo-Commit: {"a" * 40}\r\nX-Linked-Etag: "{"b" * 64}"\r\nX-Linked-Size: {size}\r\n'

    async def announce(turn: Turn) -> None:
        await turn.reply(b"", headers=facts)

    hub.script = announce
    config = {"folder": str(pantry.models), "endpoint": hub.url}
    try:
        async with pantry.gateway(pulls=config) as (running, _):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            response = await asyncio.wait_for(ask(running.port, PULL, pulls.body(), AUTHORIZED), 3)
            assert response.status == 507
            assert str(size + SPARE) in str(response.json()["error"])
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    finally:
        await hub.stop()
    assert files_below(pantry.models) == 0
