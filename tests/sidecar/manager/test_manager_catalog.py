"""GET /models: the catalog that git-sync published, even if a part of it is invalid."""

import shutil
from pathlib import Path

import pytest

from tests.sidecar.manager.conftest import Client, Repository, Start
from tests.unit.stack_config import entry


def ids(body: dict) -> list[str]:
    return [model["id"] for model in body["models"]]


async def test_models_are_those_of_the_commit_that_is_synced(manager: Client, repository: Repository) -> None:
    first = (await manager.get("/models")).body
    assert (ids(first), first["wrong"], first["catalog"]) == (
        ["alpha", "beta"],
        [],
        {"commit": "0" * 39 + "1", "problem": ""},
    )
    commit = repository.publish("alpha", "gamma")
    again = (await manager.get("/models")).body
    assert (ids(again), again["catalog"]["commit"]) == (["alpha", "gamma"], commit)


async def test_a_model_is_shown_as_its_entry_has_it(manager: Client) -> None:
    reply = await manager.get("/models/alpha")
    assert reply.status == 200
    assert reply.body["hub"]["files"][0]["sha256"] == "a" * 64


async def test_an_invalid_entry_is_reported_and_affects_no_other(manager: Client, repository: Repository) -> None:
    bad = {
        "broken.yaml": "a: [",
        "renamed.yaml": entry("beta").to_json(),
        "huge.yaml": "x" * 300_000,
        "empty.yaml": "",
        "hashless.yaml": entry("hashless").to_json().replace("a" * 64, "zz"),
    }
    repository.publish("alpha", files=bad)
    body = (await manager.get("/models")).body
    assert ids(body) == ["alpha"]
    wrong = {item["file"]: item["reason"] for item in body["wrong"]}
    assert wrong.keys() == bad.keys()
    assert wrong["broken.yaml"].startswith("not YAML")
    assert wrong["renamed.yaml"] == "id: is 'beta'; it must equal the file's name"
    assert wrong["huge.yaml"] == "is larger than 256 KiB"
    assert "hub.files.0.sha256" in wrong["hashless.yaml"]
    refused = await manager.get("/models/hashless")
    assert refused.status == 404
    assert "is invalid: hub.files.0.sha256" in refused.message


async def test_links_out_of_the_checkout_are_not_followed(
    manager: Client, repository: Repository, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(entry("secret").to_json())
    commit = repository.publish("alpha")
    models = repository.root / ".worktrees" / commit / "models"
    (models / "secret.yaml").symlink_to(secret)
    (models / "circle.yaml").symlink_to(models / "circle.yaml")
    (models / "folder.yaml").mkdir()
    body = (await manager.get("/models")).body
    assert ids(body) == ["alpha"]
    assert [item["reason"] for item in body["wrong"]] == [
        "cannot be read", "is not a regular file", "is a link that leads out of the catalog",
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["/etc", "..", "current"])
async def test_a_checkout_out_of_its_root_is_no_catalog(manager: Client, repository: Repository, target: str) -> None:
    await manager.get("/models")
    repository.point(Path(target))
    body = (await manager.get("/models")).body
    assert ids(body) == ["alpha", "beta"]
    assert "this is the last commit that could be read" in body["catalog"]["problem"]
    repository.publish("gamma")
    body = (await manager.get("/models")).body
    assert (ids(body), body["catalog"]["problem"]) == (["gamma"], "")


async def test_a_models_folder_that_leads_out_is_no_catalog(start: Start, repository: Repository) -> None:
    commit = repository.publish("alpha")
    models = repository.root / ".worktrees" / commit / "models"
    shutil.rmtree(models)
    models.symlink_to("/etc")
    async with start() as client:
        reply = await client.get("/models")
    assert reply.status == 503
    assert "leads out of" in reply.message


async def test_a_catalog_that_disappears_is_still_served_and_marked_as_old(
    manager: Client, repository: Repository
) -> None:
    assert (await manager.get("/models")).status == 200
    shutil.rmtree(repository.root)
    body = (await manager.get("/models")).body
    assert ids(body) == ["alpha", "beta"]
    assert "nothing is synced yet" in body["catalog"]["problem"]


async def test_before_the_first_sync_there_is_no_catalog_and_no_readiness(start: Start, repository: Repository) -> None:
    async with start() as client:
        reply = await client.get("/models")
        assert (reply.status, reply.body["error"]["code"]) == (503, "no_catalog")
        assert "see the log of git-sync" in reply.message
        assert (await client.activate("alpha")).status == 503
        assert ((await client.get("/readyz", admin=True)).status, (await client.get("/livez", admin=True)).status) == (
            503,
            200,
        )
        repository.publish("alpha")
        assert (await client.get("/readyz", admin=True)).status == 200


async def test_a_repository_without_the_folder_is_named(start: Start, repository: Repository) -> None:
    repository.publish("alpha")
    async with start(catalog={"link": str(repository.root / "current"), "path": "entries"}) as client:
        assert "no folder 'entries'" in (await client.get("/models")).message


async def test_a_plain_folder_is_a_valid_catalog(start: Start, repository: Repository) -> None:
    commit = repository.publish("alpha")
    folder = repository.root / ".worktrees" / commit
    async with start(catalog={"link": str(folder)}) as client:
        assert ids((await client.get("/models")).body) == ["alpha"]
        (folder / "models" / "alpha.yaml").unlink()
        assert ids((await client.get("/models")).body) == []


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/models/alhpa", "did you mean alpha?"),
        ("/models/..%2F..%2Fetc%2Fpasswd", "GET /models lists"),
        ("/models/../alpha", "did you mean alpha?"),
        ("/models/alpha/", "did you mean alpha?"),
        ("/models/%F0%9F%A6%99", "GET /models lists"),
        ("/models/%ff%00", "GET /models lists"),
        ("/models/" + "a" * 5000, "GET /models lists"),
        ("/models/", "GET /models lists"),
    ],
)
async def test_an_unknown_id_is_404_with_similar_ones(manager: Client, path: str, near: str) -> None:
    reply = await manager.get(path)
    assert (reply.status, reply.body["error"]["code"]) == (404, "model_not_found")
    assert near in reply.message
    assert len(reply.message) < 300
