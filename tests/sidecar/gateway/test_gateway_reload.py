"""Reload of a running gateway's file: names and rules follow it, and an invalid file changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.gateway import reload
from larder_sidecar.gateway.serve import Running

from tests.sidecar.gateway.conftest import CHAT, MODELS, Lines, Start
from tests.sidecar.gateway.scripted import Engine, admin, ask, connect, request, until

LOOKS = [0]
"""Number of checks of the file by the gateway."""


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the file as a ConfigMap is mounted: its path leads through a link to a folder that is exchanged."""
    monkeypatch.setattr(reload, "PERIOD", 0.01)
    look = reload.Reload.look

    async def counted(self: reload.Reload) -> None:
        await look(self)
        LOOKS[0] += 1

    monkeypatch.setattr(reload.Reload, "look", counted)
    (tmp_path / "0").mkdir()
    (tmp_path / "..data").symlink_to("0")
    (tmp_path / "gateway.json").symlink_to("..data/gateway.json")
    return tmp_path / "gateway.json"


async def put(file: Path, content: str) -> None:
    """Exchange the folder, and wait until the gateway has read it."""
    exchange(file, content)
    await looked()


async def looked() -> None:
    """Wait for a full check of the file from now on: one may be in progress."""
    enough = LOOKS[0] + 2
    await until(lambda: LOOKS[0] >= enough, "the gateway to look at its file")


def exchange(file: Path, content: str) -> None:
    """Exchange the folder as the kubelet does."""
    number = int((file.parent / "..data").readlink().name) + 1
    folder = file.parent / str(number)
    folder.mkdir()
    (folder / file.name).write_text(content)
    (file.parent / "..next").symlink_to(str(number))
    (file.parent / "..next").replace(file.parent / "..data")


def changed(file: Path, **settings: Any) -> str:
    return json.dumps({**json.loads(file.read_text()), **settings})


async def rule(gateway: Running) -> str:
    return (await ask(gateway.port, CHAT, b'{"messages": [{"role": "user", "content": "hi"}]}'))["x-larder-rule"]


HI = {"default": "tiny", "rules": [{"name": "hi", "pattern": "hi", "model": "phi-3-mini"}]}


async def test_rules_and_names_follow_the_file_and_no_connection_is_dropped(
    start: Start, engine: Engine, mounted: Path
) -> None:
    async with start(file=mounted) as gateway, connect(gateway.port) as client:
        assert await rule(gateway) == "default"
        first, *others = MODELS
        await put(mounted, changed(mounted, routing=HI, models=[{**first, "aliases": ["fresh"]}, *others]))
        assert await rule(gateway) == "hi"
        await client.send(request(CHAT, b'{"model": "fresh"}'))
        assert (await client.response())["x-larder-model"] == "tiny"
        assert (
            "larder_config_reloads_total 1.0" in (await ask(gateway.admin_port, "/metrics", method="GET")).body.decode()
        )


BAD = [
    ("{", "EOF"),
    ({"routing": {"default": "gone"}}, "routing.default 'gone' is not among the models"),
    ({"routing": {"rules": [{"pattern": "(", "model": "tiny"}]}}, "is not an RE2 pattern"),
    ({"limits": {"connections": 5}}, "limits changed, which takes a new pod"),
    ({"models": [{"id": "tiny", "engine-name": "tiny:q4"}]}, "is not among the models: tiny"),
    ({"place": "behind"}, "place changed, which takes a new pod"),
]


@pytest.mark.parametrize(("content", "says"), BAD, ids=[says for _, says in BAD])
async def test_an_invalid_file_changes_nothing_and_is_reported(
    start: Start, engine: Engine, mounted: Path, log: Lines, content: str | dict[str, Any], says: str
) -> None:
    async with start(file=mounted) as gateway:
        await put(mounted, changed(mounted, routing=HI))
        good = changed(mounted)
        await put(mounted, content if isinstance(content, str) else changed(mounted, **content))
        assert await rule(gateway) == "hi"
        status, detail = await admin(gateway, "/readyz")
        assert status == 200
        assert says in str(detail["config"])
        assert says in log.text
        told = (await ask(gateway.admin_port, "/metrics", method="GET")).body.decode()
        assert "larder_config_reloads_refused_total 1.0" in told
        assert "larder_config_in_force 0.0" in told
        await put(mounted, good)
        assert "config" not in (await admin(gateway, "/readyz"))[1]


async def test_a_briefly_missing_file_changes_nothing(start: Start, engine: Engine, mounted: Path) -> None:
    async with start(file=mounted) as gateway:
        await put(mounted, changed(mounted, routing=HI))
        away = (mounted.parent / "..data").rename(mounted.parent / "..away")
        await looked()
        assert await rule(gateway) == "hi"
        away.rename(mounted.parent / "..data")
        await looked()
        assert await rule(gateway) == "hi"
