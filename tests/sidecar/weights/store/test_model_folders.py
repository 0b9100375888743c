"""`fetch --model-folders`: each model's files under their own names, of the very bytes of the store."""

from pathlib import Path

import pytest
from larder_sidecar.config.weights import FIRST_PULL
from larder_sidecar.weights.errors import StoreError
from larder_sidecar.weights.store.model_folders import make_model_folders
from larder_sidecar.weights.store.ollama_layout import blob_path

from tests.sidecar.weights.kitchen import Kitchen


def _folder(root: Path, model: str) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in (root / "models" / model).iterdir()}


def test_a_store_that_is_complete_already_gets_them_without_a_download(kitchen: Kitchen) -> None:
    sha256 = kitchen.publish().sha256
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    process = kitchen.process(plan, "--model-folders")
    assert '"fetched_bytes": 0' in process.communicate(timeout=20)[0]
    inode = (kitchen.root / blob_path(sha256)).stat().st_ino
    assert _folder(kitchen.root, "tiny") == {"tiny.gguf": inode}
    make_model_folders(plan, kitchen.root)
    assert _folder(kitchen.root, "tiny") == {"tiny.gguf": inode}
    assert list((kitchen.root / ".larder" / "tmp").iterdir()) == []


def test_other_weights_take_the_place_of_the_old_ones(kitchen: Kitchen) -> None:
    first = kitchen.publish().sha256
    hub = kitchen.hub()
    kitchen.fetch(kitchen.plan(hub))
    make_model_folders(kitchen.plan(hub), kitchen.root)
    second = kitchen.publish(seed=1).sha256
    kitchen.fetch(kitchen.plan(hub))
    make_model_folders(kitchen.plan(hub), kitchen.root)
    assert first != second
    assert _folder(kitchen.root, "tiny") == {"tiny.gguf": (kitchen.root / blob_path(second)).stat().st_ino}


def test_weights_whose_hash_the_first_pull_recorded_are_found(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub(), sha256=FIRST_PULL)
    kitchen.fetch(plan)
    make_model_folders(plan, kitchen.root)
    assert _folder(kitchen.root, "tiny").keys() == {"tiny.gguf"}


def test_a_folder_that_leads_out_of_the_store_is_not_written_to(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    outside = kitchen.folder / "outside"
    outside.mkdir()
    (kitchen.root / "models").symlink_to(outside)
    with pytest.raises(StoreError, match="leads out of the store"):
        make_model_folders(plan, kitchen.root)
    assert list(outside.iterdir()) == []
