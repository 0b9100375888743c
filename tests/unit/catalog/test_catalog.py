"""The catalog is readable, says where its figures come from, and its tiny model is the one the maker makes."""

import hashlib
from pathlib import Path

import pytest
from larder_sidecar.catalog import CatalogEntry, load_catalog
from larder_sidecar.catalog.models import CatalogError
from larder_sidecar.config.weights import FIRST_PULL

from testbed.hub.__main__ import FILE, REPO
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import tiny_model

FOLDER = Path(__file__).parents[3] / "catalog" / "models"
ENTRIES = load_catalog(FOLDER)


def test_the_tiny_model_is_what_the_maker_makes(tmp_path: Path) -> None:
    made = Repositories(tmp_path).publish(REPO, FILE, tiny_model())
    hub = ENTRIES["tiny-random"].hub
    (file,) = hub.files
    assert (hub.repo, hub.revision) == (made.repo, made.revision)
    assert (file.path, file.bytes, file.sha256) == (made.path, made.bytes, made.sha256)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_every_entry_says_where_its_figures_come_from(entry: CatalogEntry) -> None:
    assert entry.facts
    assert all(file.sha256 != FIRST_PULL for file in entry.hub.files)
    assert entry.ollama.template


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    good = (FOLDER / "tiny-random.yaml").read_text()
    digest = hashlib.sha256(b"").hexdigest()
    (tmp_path / "other-name.yaml").write_text(good)
    (tmp_path / "no-hash.yaml").write_text("\n".join(line for line in good.splitlines() if "sha256: " not in line))
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "escape.yaml").write_text(good.replace("path: tiny-random.gguf", "path: ../x") + f"extra: {digest}\n")
    with pytest.raises(CatalogError) as caught:
        load_catalog(tmp_path)
    problems = caught.value.problems
    for expected in (
        "broken.yaml: not YAML",
        "empty.yaml: the file: ",
        "escape.yaml: hub.files.0.path: ",
        "escape.yaml: extra: ",
        "no-hash.yaml: hub.files.0.sha256: Field required",
        "other-name.yaml: id: is 'tiny-random'",
    ):
        assert any(f"catalog/models/{expected}" in problem for problem in problems), (expected, problems)
    assert all("\n" not in problem for problem in problems)
