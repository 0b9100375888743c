"""A plan is named by what ends up on disk, and refuses names that two models would share."""

from typing import Any

import pytest
from larder_sidecar.config.weights import FIRST_PULL, WeightsPlan
from pydantic import ValidationError


def plan(*ids: str, names: list[str] | None = None, **file: str | int) -> WeightsPlan:
    facts = {"path": "f.gguf", "url": "https://hub.test/f", "revision": "r", "bytes": 1, "sha256": "0" * 64} | file
    models = [{"id": i, "served-names": names or [i], "format": "gguf", "files": [facts]} for i in ids]
    return WeightsPlan.model_validate({"models": models})


def test_the_source_does_not_name_the_plan() -> None:
    assert plan("a").digest() == plan("a", url="https://mirror.test/f", revision="s").digest()


@pytest.mark.parametrize("change", [{"bytes": 2}, {"sha256": "1" * 64}, {"path": "g.gguf"}, {"names": ["b"]}])
def test_what_is_on_disk_names_the_plan(change: dict[str, Any]) -> None:
    assert plan("a").digest() != plan("a", **change).digest()


def test_without_a_hash_the_source_is_all_that_tells_files_apart() -> None:
    one = plan("a", sha256=FIRST_PULL)
    assert one.digest() != plan("a", sha256=FIRST_PULL, url="https://mirror.test/f").digest()


def test_the_file_reads_back_as_the_same_plan() -> None:
    assert WeightsPlan.from_json(plan("a").to_json()) == plan("a")


def test_shared_content_is_counted_once() -> None:
    assert plan("a", "b", bytes=7).total_bytes() == 7


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "a:", "a:b:c", ".hidden", "-x", "a:../../x", "gpt:cloud", "gpt-cloud", "ä", "a\n"]
)
def test_a_name_that_ollama_would_not_list_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        plan("a", names=[name])


def test_two_models_cannot_have_one_name() -> None:
    with pytest.raises(ValidationError, match="stands for both 'a' and 'b'"):
        plan("a", "b", names=["same"])
    with pytest.raises(ValidationError, match="listed twice"):
        plan("a", "a")
    upper, lower = plan("a", names=["X"]), plan("b", names=["x:latest"])
    with pytest.raises(ValidationError, match="stands for both"):
        WeightsPlan(models=[*upper.models, *lower.models])


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", "a\\b", "a\0b", "./a", "a/"])
def test_a_path_out_of_the_folder_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        plan("a", path=path)


@pytest.mark.parametrize(
    "url",
    ["ftp://h/f", "https://h", "https:///f", "https://[h/f", "https://h:99999/f", "https://me:pw@h/f", "file:///f"],
)
def test_a_url_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        plan("a", url=url)
    assert "pw" not in caught.value.errors()[0]["msg"]
