"""A store made of what is here: linked to mounted images, or copied from another store; nothing is downloaded."""

import json
import os
import shutil
from pathlib import Path

import pytest
from larder_sidecar.cli import main
from larder_sidecar.config.weights import EXIT_PERMANENT, FIRST_PULL, WeightsPlan
from larder_sidecar.weights.errors import ImageError, StoreError, WaitError
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.store.assemble import copy, link
from larder_sidecar.weights.store.image_index import INDEX, Contents, ImageFile
from larder_sidecar.weights.store.marker import wait_for
from larder_sidecar.weights.store.ollama_layout import blob_path

from tests.sidecar.weights.kitchen import Kitchen


def mounted(kitchen: Kitchen, *names: str) -> Path:
    """Lay out the images of these models as a pod sees them."""
    images = kitchen.folder / "weights"
    for name in names:
        it = kitchen.published[name]
        (images / name / "models").mkdir(parents=True)
        shutil.copy(kitchen.folder / "hub" / it.repo / it.revision / it.path, images / name / "models" / it.path)
        held = Contents(model=name, files={it.path: ImageFile(bytes=it.bytes, sha256=it.sha256)})
        (images / name / INDEX).write_text(held.to_json())
    return images


def linked(kitchen: Kitchen, plan: WeightsPlan, images: Path) -> None:
    link(plan, kitchen.root, images, Reporter(kitchen.log))


def test_images_become_one_store_of_symlinks(kitchen: Kitchen) -> None:
    one, _ = kitchen.publish("one"), kitchen.publish("two", seed=2)
    images = mounted(kitchen, "one", "two")
    plan = kitchen.plan("http://hub.test")
    linked(kitchen, plan, images)
    assert kitchen.models() == {"one:latest", "two:latest"}
    assert (kitchen.root / blob_path(one.sha256)).readlink() == images / "one" / "models" / one.path
    wait_for(plan, kitchen.root, 0, Reporter(kitchen.log))  # it is as complete as one that was fetched
    assert (kitchen.root / "gguf/one.gguf").samefile(images / "one" / "models" / one.path)
    linked(kitchen, plan, images)  # and a container that starts again finds it so
    assert kitchen.models() == {"one:latest", "two:latest"}


def test_a_hash_that_nobody_knew_is_taken_from_the_image(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan("http://hub.test", sha256=FIRST_PULL)
    linked(kitchen, plan, mounted(kitchen, "tiny"))
    assert kitchen.models() == {"tiny:latest"}
    assert (kitchen.root / blob_path(it.sha256)).is_symlink()


@pytest.mark.parametrize(("field", "other"), [("bytes", 7), ("sha256", "f" * 64), ("path", "other.gguf")])
def test_the_image_of_another_model_is_refused(kitchen: Kitchen, field: str, other: str | int) -> None:
    kitchen.publish()
    with pytest.raises(ImageError, match=r"the plan wants .*larder:cache\.image-volume\.images"):
        linked(kitchen, kitchen.plan("http://hub.test", **{field: other}), mounted(kitchen, "tiny"))
    assert kitchen.models() == set()


def test_an_image_that_is_not_mounted_is_named(kitchen: Kitchen) -> None:
    kitchen.publish()
    with pytest.raises(ImageError, match=r"tiny/larder\.json: no weights image .*No such file"):
        linked(kitchen, kitchen.plan("http://hub.test"), kitchen.folder)


def test_a_file_that_is_not_as_long_as_it_should_be_is_refused(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    images = mounted(kitchen, "tiny")
    os.truncate(images / "tiny" / "models" / it.path, it.bytes - 1)
    with pytest.raises(ImageError, match=f"does not have {it.bytes} bytes"):
        linked(kitchen, kitchen.plan("http://hub.test"), images)


def copied(kitchen: Kitchen, plan: WeightsPlan) -> Path:
    mine = kitchen.folder / "mine"
    copy(plan, mine, kitchen.root, Reporter(kitchen.log))
    return mine


def test_a_copy_is_verified_and_complete(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub(), sha256=FIRST_PULL)
    kitchen.fetch(plan)
    mine = copied(kitchen, plan)
    assert (mine / blob_path(it.sha256)).read_bytes() == (kitchen.root / blob_path(it.sha256)).read_bytes()
    wait_for(plan, mine, 0, Reporter(kitchen.log))
    inode = (mine / blob_path(it.sha256)).stat().st_ino
    copied(kitchen, plan)
    assert (mine / blob_path(it.sha256)).stat().st_ino == inode


def test_a_damaged_shared_copy_is_not_served(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    (kitchen.root / blob_path(it.sha256)).write_bytes(bytes(it.bytes))
    with pytest.raises(StoreError, match="fetch --verify"):
        copied(kitchen, plan)
    assert not any(path.is_file() for path in (kitchen.folder / "mine" / "blobs").iterdir())


def test_a_copy_waits_for_a_store_that_nobody_filled_and_gives_up(kitchen: Kitchen) -> None:
    kitchen.publish()
    with pytest.raises(WaitError):
        copied(kitchen, kitchen.plan("http://hub.test"))


def test_the_command_links_and_copies(kitchen: Kitchen, capsys: pytest.CaptureFixture[str]) -> None:
    it = kitchen.publish()
    config = kitchen.folder / "weights.json"
    config.write_text(kitchen.plan("http://hub.test").to_json())
    words = ["fetch", "--config", str(config), "--root"]
    assert main([*words, str(kitchen.root), "--link", str(mounted(kitchen, "tiny"))]) == 0
    assert main([*words, str(kitchen.folder / "mine"), "--copy-from", str(kitchen.root), "--wait", "1"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reused_bytes"] == it.bytes
    assert main([*words, str(kitchen.root), "--link", "/x", "--wait", "1"]) == EXIT_PERMANENT
    assert "--link with --copy-from" in capsys.readouterr().err
