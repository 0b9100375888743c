"""Prune removes files that only pruned plans need, and keeps all others."""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from larder_sidecar.config.weights import EXIT_PERMANENT, WeightsPlan
from larder_sidecar.weights.errors import PlanError
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.store.marker import marker_path
from larder_sidecar.weights.store.model_folders import make_model_folders
from larder_sidecar.weights.store.ollama_layout import blob_path
from larder_sidecar.weights.store.prune import OTHERS, Prune

from tests.sidecar.weights.download.test_interruption import done
from tests.sidecar.weights.kitchen import Kitchen


@dataclass
class Shared:
    """One store, three plans: ours and theirs share a model, and each has one of its own; nobody wants the old one."""

    kitchen: Kitchen
    ours: WeightsPlan
    theirs: WeightsPlan
    old: WeightsPlan

    def prune(self, *forget: str) -> Prune:
        return Prune(self.ours, self.kitchen.root, forget, Reporter(self.kitchen.log), lease_seconds=1)

    def blob(self, name: str) -> Path:
        return self.kitchen.root / blob_path(self.kitchen.published[name].sha256)


@pytest.fixture
def shared(kitchen: Kitchen) -> Shared:
    for seed, name in enumerate(("both", "ours", "theirs", "old")):
        kitchen.publish(name, seed=seed)
    hub = kitchen.hub()
    plans = [kitchen.plan(hub, *names) for names in (("both", "ours"), ("both", "theirs"), ("both", "old"))]
    for plan in plans:
        kitchen.fetch(plan)
    return Shared(kitchen, *plans)


def listing(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_nothing_goes_that_nobody_named(shared: Shared) -> None:
    before = listing(shared.kitchen.root)
    assert shared.prune().run() == 0
    assert listing(shared.kitchen.root) == before


def test_a_forgotten_plan_leaves_with_what_only_it_wanted(shared: Shared) -> None:
    size = shared.blob("old").stat().st_size
    freed = shared.prune(shared.old.digest()[:12]).run()
    assert not shared.blob("old").exists()
    assert size <= freed < size + 10_000
    assert shared.kitchen.models() == {"both:latest", "ours:latest", "theirs:latest"}
    assert not (shared.kitchen.root / "gguf/old.gguf").is_symlink()
    for plan in (shared.ours, shared.theirs):
        assert shared.kitchen.fetch(plan).fetched_bytes == 0
    assert "old" not in " ".join(listing(shared.kitchen.root))


def test_others_are_all_but_the_plan_at_hand(shared: Shared) -> None:
    shared.prune(OTHERS).run()
    assert shared.kitchen.models() == {"both:latest", "ours:latest"}
    assert list((shared.kitchen.root / ".larder").glob("*.json")) == [
        marker_path(shared.kitchen.root, shared.ours.digest())
    ]


def test_a_dry_run_tells_all_that_goes_and_writes_nothing(shared: Shared) -> None:
    before = {path: path.lstat().st_mtime_ns for path in shared.kitchen.root.rglob("*")}
    told = shared.prune(OTHERS).preview()
    assert before == {path: path.lstat().st_mtime_ns for path in shared.kitchen.root.rglob("*")}
    announced = _paths(shared.kitchen, "would-remove")
    assert shared.prune(OTHERS).run() == told
    assert _paths(shared.kitchen, "removed") == announced
    assert announced


def _paths(kitchen: Kitchen, event: str) -> list[str]:
    lines = [json.loads(line) for line in kitchen.log.getvalue().splitlines()]
    return [line["path"] for line in lines if line["event"] == event]


@pytest.mark.parametrize(("forget", "says"), [("ffff0000ffff", "matches 0 plans"), ("ours", "is the current plan")])
def test_a_name_that_is_no_other_plans_removes_nothing(shared: Shared, forget: str, says: str) -> None:
    before = listing(shared.kitchen.root)
    with pytest.raises(PlanError, match=rf"{says}.*{shared.theirs.digest()[:12]}"):
        shared.prune(shared.ours.digest() if forget == "ours" else forget).run()
    assert listing(shared.kitchen.root) == before


def test_who_prunes_twice_is_through_the_second_time(shared: Shared) -> None:
    old = shared.old.digest()[:12]
    assert shared.prune(old).run() > 0
    again = Prune(shared.ours, shared.kitchen.root, [old], Reporter(shared.kitchen.log), if_there=True)
    assert again.run() == 0
    assert again.forgotten == []


def test_killed_in_between_the_same_words_go_on(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(Prune, "_report", killed)
        shared.prune(shared.old.digest()).run()
    assert list((shared.kitchen.root / ".larder").glob("*.forgotten"))
    again = shared.prune(shared.old.digest())
    again.run()
    assert again.forgotten == [shared.old.digest()[:12]]
    assert not list((shared.kitchen.root / ".larder").glob("*.forgotten"))


def test_a_model_that_no_plan_made_is_left_alone(shared: Shared) -> None:
    manifest = shared.kitchen.root / "manifests/registry.ollama.ai/library"
    (manifest / "by-hand").mkdir()
    (manifest / "by-hand/latest").write_bytes((manifest / "old/latest").read_bytes())
    shared.prune(OTHERS).run()
    assert shared.kitchen.models() == {"both:latest", "ours:latest", "by-hand:latest"}


def test_names_in_model_folders_go_with_their_bytes(shared: Shared) -> None:
    for plan in (shared.ours, shared.old):
        make_model_folders(plan, shared.kitchen.root)
    blob = shared.blob("old")
    assert blob.stat().st_nlink == 2
    shared.prune(OTHERS).run()
    assert not (shared.kitchen.root / "models/old/old.gguf").exists()
    assert (shared.kitchen.root / "models/ours/ours.gguf").exists()


def test_a_plan_that_is_not_there_yet_keeps_what_it_will_want(shared: Shared) -> None:
    marker_path(shared.kitchen.root, shared.ours.digest()).unlink()
    shared.prune(OTHERS).preview()
    assert f"blobs/{shared.blob('ours').name}" not in _paths(shared.kitchen, "would-remove")


def test_a_marker_cannot_point_out_of_the_store(shared: Shared) -> None:
    root, marker = shared.kitchen.root, marker_path(shared.kitchen.root, shared.old.digest())
    precious = shared.kitchen.folder / "precious"
    precious.write_text("dear")
    (root / "blobs/out").symlink_to(shared.kitchen.folder)
    told = json.loads(marker.read_text())
    fact = {"bytes": 4, "modified": 0, "sha256": "0" * 64}
    for path in (
        "blobs/../../precious",
        "../precious",
        str(precious),
        "blobs/out/precious",
        "blobs/\0",
        ".larder/lease",
    ):
        told["files"][path] = fact
    marker.write_text(json.dumps(told))
    shared.prune(OTHERS).run()
    assert precious.read_text() == "dear"
    assert shared.kitchen.models() == {"both:latest", "ours:latest"}


class Killed(BaseException):
    """Stands for kill -9 between two system calls: nothing after it runs but the kernel."""


@pytest.mark.parametrize("step", range(12))
def test_killed_at_any_step_no_engine_lists_what_it_lacks_and_the_next_run_goes_on(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    left = [step]

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(path: Path, *more: object, **options: object) -> object:
            if "lease" not in path.name:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            return real(path, *more, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("unlink", "rename"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        with contextlib.suppress(Killed):
            shared.prune(OTHERS).run()
    assert shared.kitchen.models() >= {"both:latest", "ours:latest"}
    shared.prune().run()
    if step == 0:
        shared.prune(OTHERS).run()
    shared.prune(OTHERS).run()
    assert shared.kitchen.models() == {"both:latest", "ours:latest"}
    assert not list((shared.kitchen.root / ".larder").glob("*.forgotten"))
    assert not shared.blob("old").exists()
    assert shared.kitchen.fetch(shared.theirs).fetched_bytes == shared.kitchen.published["theirs"].bytes


def test_the_command_prunes_after_it_has_fetched(shared: Shared) -> None:
    new = shared.kitchen.plan(shared.kitchen.hub(), "ours")
    dry = shared.kitchen.process(new, "--prune", "--forget", OTHERS, "--dry-run")
    done(dry)
    assert shared.blob("old").exists()
    assert not marker_path(shared.kitchen.root, new.digest()).exists()
    assert done(shared.kitchen.process(new, "--prune", "--forget", OTHERS))["fetched_bytes"] == 0
    assert shared.kitchen.models() == {"ours:latest"}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--dry-run"], r"nothing was removed; to forget plan \w{12} would free [1-9]\d+ bytes"),
        ([], r"the store holds the plan: 0 bytes fetched.*; plan \w{12} forgotten, [1-9]\d+ bytes freed"),
        (["--forget", "ffff0000ffff", "--if-there"], r"; plan \w{12} forgotten, [1-9]\d+ bytes freed"),
    ],
)
def test_the_termination_message_says_what_went(shared: Shared, options: list[str], says: str) -> None:
    log = shared.kitchen.folder / "termination"
    words = ["--prune", "--forget", shared.old.digest()[:12], "--termination-log", str(log), *options]
    done(shared.kitchen.process(shared.ours, *words))
    assert re.fullmatch(rf".*{says}", log.read_text())


@pytest.mark.parametrize("options", [["--if-there"], ["--dry-run"], ["--forget", OTHERS], ["--prune", "--wait", "1"]])
def test_options_that_make_no_sense_are_refused(kitchen: Kitchen, options: list[str]) -> None:
    kitchen.publish()
    process = kitchen.process(kitchen.plan("http://127.0.0.1:1"), *options)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == EXIT_PERMANENT
    assert "--prune" in errors


@pytest.mark.parametrize("word", ["", "0", "*"])
def test_a_word_that_is_no_digest_is_not_the_one_other_plan(shared: Shared, word: str) -> None:
    """As `--forget "$PLAN"` is where nobody set the variable."""
    for plan in (shared.ours, shared.old):
        marker_path(shared.kitchen.root, plan.digest()).unlink()
    before = listing(shared.kitchen.root)
    with pytest.raises(PlanError, match="is not a digest"):
        shared.prune(word).run()
    assert listing(shared.kitchen.root) == before


@pytest.mark.parametrize("content", ["{", '{"schema": 2, "plan": "later"}'], ids=["torn", "of a later version"])
def test_where_a_marker_cannot_be_read_nothing_goes(shared: Shared, content: str) -> None:
    """It may be that of a deployment which another version of us filled, and wants what it says there."""
    unread = marker_path(shared.kitchen.root, shared.theirs.digest())
    unread.write_text(content)
    before = listing(shared.kitchen.root)
    for act in (shared.prune(OTHERS).preview, shared.prune(OTHERS).run):
        with pytest.raises(PlanError, match=unread.name):
            act()
    assert listing(shared.kitchen.root) == before


def test_a_folder_that_a_marker_names_is_left_alone_and_stops_nobody(shared: Shared) -> None:
    (shared.kitchen.root / "blobs/folder").mkdir()
    marker = marker_path(shared.kitchen.root, shared.old.digest())
    told = json.loads(marker.read_text())
    told["files"] |= {name: {"bytes": 1, "modified": 0, "sha256": "0" * 64} for name in ("blobs/", "blobs/folder")}
    marker.write_text(json.dumps(told))
    shared.prune(shared.old.digest()).run()
    assert (shared.kitchen.root / "blobs/folder").is_dir()
    assert not shared.blob("old").exists()
