"""The catalog is readable, says where its figures come from, and its tiny model is the one the maker makes."""

import hashlib
from pathlib import Path

import pytest
from larder_sidecar.catalog import CatalogEntry, load_catalog
from larder_sidecar.config.weights import FIRST_PULL

from components.settings.read import read_catalog
from testbed.hub.repository import Repositories
from testbed.hub.tiny_model import CATALOG, tiny_model

FOLDER = Path(__file__).parents[3] / "catalog" / "models"
ENTRIES = load_catalog(FOLDER)


@pytest.mark.parametrize(("model", "seed"), CATALOG.items())
def test_the_tiny_models_are_what_the_maker_makes(tmp_path: Path, model: str, seed: int) -> None:
    made = Repositories(tmp_path).publish(f"larder/{model}-GGUF", f"{model}.gguf", tiny_model(seed))
    hub = ENTRIES[model].hub
    assert hub
    (file,) = hub.files
    assert (hub.repo, hub.revision) == (made.repo, made.revision)
    assert (file.path, file.bytes, file.sha256) == (made.path, made.bytes, made.sha256)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_every_entry_says_where_its_figures_come_from(entry: CatalogEntry) -> None:
    assert entry.facts
    assert all(file.sha256 != FIRST_PULL for file in entry.files)
    assert entry.ollama.template


def test_every_problem_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    good = (FOLDER / "tiny-random.yaml").read_text()
    project, tmp_path = tmp_path, tmp_path / "catalog" / "models"
    tmp_path.mkdir(parents=True)
    digest = hashlib.sha256(b"").hexdigest()
    (tmp_path / "other-name.yaml").write_text(good)
    (tmp_path / "no-hash.yaml").write_text("\n".join(line for line in good.splitlines() if "sha256: " not in line))
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "a-cloud.yaml").write_text(good.replace("id: tiny-random", "id: a-cloud"))
    (tmp_path / "escape.yaml").write_text(good.replace("path: tiny-random.gguf", "path: ../x") + f"extra: {digest}\n")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff")
    (tmp_path / "twice.yaml").write_text(good + "format: gguf\n")
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "none.yaml").write_text(good.replace("memory: 128Mi", "memory: 0Mi"))
    (tmp_path / "tiny-random.yaml").write_text(good)
    catalog = read_catalog(project)
    assert catalog.entries.keys() == {"tiny-random"}
    problems = [str(problem) for found in catalog.wrong.values() for problem in found]
    for expected in (
        "a-cloud.yaml: id: 'a-cloud' ends in a word that Ollama reads as a source of models",
        "broken.yaml: not YAML",
        "bytes.yaml: not YAML",
        "empty.yaml: must be a mapping, not None",
        "escape.yaml: hub.files[0].path: must be a relative path without '..': '../x'",
        "escape.yaml: extra: unknown key. Fix: use one of ",
        "gone.yaml: No such file",
        "no-hash.yaml: hub.files[0].sha256: is missing. Fix: add it. Write the sha256 of the file, 64 "
        "lower-case hex digits, or",
        "none.yaml: needs.memory: '0Mi' is not allowed here. As in 512Mi or 2Gi.",
        "other-name.yaml: id: is 'tiny-random'",
        "twice.yaml: not YAML: key 'format' is there twice (line ",
    ):
        assert any(problem.startswith(f"catalog/models/{expected}") for problem in problems), (expected, problems)
    assert len(problems) == 11
    assert all("\n" not in problem for problem in problems)


def test_dates_and_whole_cores_need_no_quotes(tmp_path: Path) -> None:
    good = (FOLDER / "tiny-random.yaml").read_text()
    (tmp_path / "tiny-random.yaml").write_text(good.replace('"2026-11-21"', "2026-11-21").replace("100m", "2"))
    entry = load_catalog(tmp_path)["tiny-random"]
    assert (entry.facts[0].date, entry.needs.cpu) == ("2026-11-21", "2")
