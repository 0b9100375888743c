"""The catalog's repository is written by others: a file of it cannot affect the rest."""

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from larder_sidecar.catalog import load_catalog, models
from larder_sidecar.config.manager import SyncedFolder
from larder_sidecar.manager import synced
from larder_sidecar.manager.synced import CatalogMissingError, SyncedCatalog

from tests.sidecar.manager.conftest import Client, Repository, Start
from tests.unit.catalog.hostile import ONLY_WRITTEN_OUT, UNUSABLE
from tests.unit.stack_config import entry

GOOD = entry("evil").to_json()
HOSTILE: Mapping[str, str | bytes] = {
    **UNUSABLE,
    **ONLY_WRITTEN_OUT,
    "an entry with an anchor": GOOD.replace('"name": "evil"', '"name": &a "evil"'),
    "an entry with an unknown key that is deep": GOOD.replace('"id"', f'"x": {"[" * 60}{"]" * 60}, "id"'),
    "an entry with many unknown keys": GOOD.replace('"id"', ", ".join(f'"k{n}": 1' for n in range(3000)) + ', "id"'),
    "an entry with a long unknown key": GOOD.replace('"id"', f'? "{"k" * 100_000}"\n : 1, "id"'),
    "an entry with many wrong facts": GOOD.replace('"facts": []', f'"facts": [{"7," * 3000}]'),
    "an entry of another id": GOOD.replace('"id": "evil"', f'"id": "{"e" * 80}"'),
    "a huge size": GOOD.replace("1048576", "9" * 60),
    "an infinite size": GOOD.replace("1048576", ".inf"),
    "a huge context": GOOD.replace("2048", "9" * 4000),
}


async def _answers(client: Client) -> dict[str, str]:
    """Check all that must still work; return the reasons of invalid files."""
    began = time.monotonic()
    assert (await client.get("/livez", admin=True)).status == 200
    assert (await client.get("/readyz", admin=True)).status == 200
    body = (await client.get("/models")).body
    assert [model["id"] for model in body["models"]] == ["alpha", "beta"]
    assert (await client.get("/models/alpha")).status == 200
    assert (await client.activate("beta")).status == 200
    assert time.monotonic() - began < 10
    return {item["file"]: item["reason"] for item in body["wrong"]}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_one_bad_file_is_listed_and_takes_nothing_else_away(
    start: Start, repository: Repository, text: str | bytes
) -> None:
    commit = repository.publish("alpha", "beta")
    path = repository.root / ".worktrees" / commit / "models" / "evil.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    async with start() as client:
        wrong = await _answers(client)
        assert wrong.keys() == {"evil.yaml"}
        assert 0 < len(wrong["evil.yaml"]) < 16_000
        refused = await client.get("/models/evil")
    assert refused.status == 404
    assert "is invalid: " in refused.message


async def test_special_files_are_listed_too(start: Start, repository: Repository) -> None:
    commit = repository.publish("alpha", "beta")
    folder = repository.root / ".worktrees" / commit / "models"
    os.mkfifo(folder / "fifo.yaml")
    (folder / "folder.yaml").mkdir()
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "out.yaml").symlink_to("../../../../token")
    (folder / "fifo-link.yaml").symlink_to("fifo.yaml")
    (folder / "circle.yaml").symlink_to("circle.yaml")
    (folder / "gone.yaml").symlink_to("nowhere")
    (folder / os.fsdecode(b"caf\xe9.yaml")).write_text("a: b")
    (folder / "line\nbreak\x1b[2J.yaml").write_text("a: b")
    (folder / ".yaml").write_text("a: b")
    (folder / f"{'n' * 250}.yaml").write_text("a: b")
    async with start() as client:
        wrong = await _answers(client)
    assert len(wrong) == 11
    assert all(name.isprintable() for name in wrong)
    assert {"caf\ufffd.yaml", "line\ufffdbreak\ufffd[2J.yaml", "fifo.yaml", "fifo-link.yaml"} <= wrong.keys()


async def test_reading_of_a_large_catalog_is_bounded_and_includes_small_entries(
    start: Start, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CATALOG_BYTES", 100_000)
    repository.publish("alpha", "beta", files={f"a{n}.yaml": "# " + "x" * 30_000 for n in range(9)})
    async with start() as client:
        wrong = await _answers(client)
    assert (
        len([reason for reason in wrong.values() if reason.startswith("is not read: with the smaller files it")]) == 6
    )


async def test_the_number_of_files_is_bounded(
    start: Start, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "CATALOG_FILES", 5)
    repository.publish("alpha", "beta", files={f"c{n}.yaml": "a: b" for n in range(9)})
    async with start() as client:
        wrong = await _answers(client)
    assert list(wrong) == ["c0.yaml", "c1.yaml", "c2.yaml", "c3.yaml"]
    assert wrong["c3.yaml"] == "is not read, nor are later files: a catalog has at most 5 files"


async def test_a_commit_that_takes_long_to_read_is_waited_for_within_bounds(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.publish("alpha")
    catalog = SyncedCatalog(SyncedFolder(link=repository.root / "current"), patience=0.2)
    threads: list[Path] = []

    def slow(folder: Path) -> object:
        threads.append(folder)
        time.sleep(1)
        return load_catalog(folder)

    monkeypatch.setattr(synced, "load_catalog", slow)
    with pytest.raises(CatalogMissingError, match="is being read"):
        await catalog.read()
    await asyncio.sleep(1.2)
    assert (await catalog.read()).commit == first
    second = repository.publish("alpha", "beta")
    seen = await asyncio.gather(*(catalog.read() for _ in range(20)))
    assert {(c.commit, c.problem) for c in seen} == {
        (first, "the manager is reading another commit; this is the last one that it read")
    }
    await asyncio.sleep(1.2)
    assert (await catalog.read()).commit == second
    assert len(threads) == 2
