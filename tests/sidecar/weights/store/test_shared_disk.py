"""Others write on the disk of a store too: nothing that lies there stops a run for good, or leads it elsewhere."""

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from larder_sidecar.config.layout import gguf_path
from larder_sidecar.config.weights import WeightsPlan
from larder_sidecar.weights.download.pieces import PieceJournal
from larder_sidecar.weights.errors import FetchError, ImageError
from larder_sidecar.weights.progress import Reporter, Transfer
from larder_sidecar.weights.publish.layer import Layer
from larder_sidecar.weights.publish.layer_cache import LAYERS, LayerCache
from larder_sidecar.weights.publish.upload_state import UPLOADS, UploadStates
from larder_sidecar.weights.store import disk, marker
from larder_sidecar.weights.store.assemble import copy
from larder_sidecar.weights.store.lease import Lease
from larder_sidecar.weights.store.marker import Marker, Stored, load_marker, marker_path, wait_for, write_marker
from larder_sidecar.weights.store.ollama_layout import blob_path, manifest_path, referenced_blobs
from larder_sidecar.weights.store.prune import OTHERS, Prune

from testbed.hub.faults import Faults
from tests.sidecar.weights.kitchen import BIG, IMPATIENT, Kitchen

SECONDS = 30.0


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _nested(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    keys = st.sampled_from(["schema", "plan", "files", "config", "layers", "digest", "etag", "size", "length", "have"])
    return st.lists(inner, max_size=3) | st.dictionaries(keys | st.text(max_size=5), inner, max_size=4)


OTHER = "0" * 64


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's address has 108 bytes at most; the folder of a test may be longer.
        here = os.open(path.parent, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{here}/{path.name[:60]}")
        finally:
            os.close(here)
    path.with_name(path.name[:60]).rename(path)


def link_to(target: str) -> Callable[[Path, Path], object]:
    return lambda path, _: path.symlink_to(target)


def huge(path: Path, _: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


THINGS: dict[str, Callable[[Path, Path], object]] = {
    "FIFO": fifo,
    "socket": bound_socket,
    "dangling link": link_to("/nowhere/at/all"),
    "link to a device": link_to("/dev/zero"),
    "link to itself": lambda path, _: path.symlink_to(path.name),
    "link out of the store": lambda path, outside: path.symlink_to(outside / "victim"),
    "folder": lambda path, _: path.mkdir(),
    "file of a terabyte": huge,
    "noise": lambda path, _: path.write_bytes(bytes(range(256)) * 40),
    "deep JSON": lambda path, _: path.write_text("[" * 100_000),
}
STOPS = {("lease", thing) for thing in ("FIFO", "socket", "dangling link", "link to a device", "link to itself")}
STOPS |= {("lease", thing) for thing in ("link out of the store", "file of a terabyte", "noise", "deep JSON")}
STOPS |= {(where, "folder") for where in ("lease", "blob", "plain name", "marker of the plan", "manifest of the model")}
"""Cases for a person to look at: a folder in a file's place, and an unreadable lease."""


def place(name: str, kitchen: Kitchen, plan: WeightsPlan) -> Path:
    sha256 = plan.models[0].files[0].sha256
    return (
        kitchen.root
        / {
            "lease": ".larder/lease",
            "marker of the plan": str(marker_path(Path(), plan.digest())),
            "marker of another plan": str(marker_path(Path(), OTHER)),
            "manifest of the model": manifest_path("tiny"),
            "manifest of others": "manifests/registry.ollama.ai/library/theirs/latest",
            "blob": blob_path(sha256),
            "plain name": gguf_path("tiny"),
            "part": f".larder/parts/{sha256}",
            "journal": f".larder/parts/{sha256}.json",
            "scratch": ".larder/tmp/x",
        }[name]
    )


PLACES = (
    "lease",
    "marker of the plan",
    "marker of another plan",
    "manifest of the model",
    "manifest of others",
    "blob",
    "plain name",
    "part",
    "journal",
    "scratch",
)


class Watched:
    """A run that has an end."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._run = run
        thread = threading.Thread(target=self._work, daemon=True)
        thread.start()
        thread.join(SECONDS)
        assert not thread.is_alive(), f"it hangs for more than {SECONDS:g} s"

    def _work(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 (the test looks at it)
            self.error = error


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of somebody else."""
    folder = tmp_path / "outside"
    (folder / "precious").mkdir(parents=True)
    (folder / "precious" / "data").write_text("precious")
    (folder / "victim").write_text("victim")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("where", PLACES)
def test_whatever_lies_in_the_place_of_a_file_a_run_ends_and_says_so(
    kitchen: Kitchen, outside: Path, where: str, thing: str
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    path, before = place(where, kitchen, plan), contents(outside)
    path.parent.mkdir(parents=True)
    THINGS[thing](path, outside)
    run = Watched(lambda: kitchen.fetch(plan, lease_seconds=0.3))
    if run.error is None:
        assert kitchen.models() == {"tiny:latest"}
    else:
        assert (where, thing) in STOPS, run.error
        assert isinstance(run.error, FetchError)
        assert str(path) in run.error.reason
    assert contents(outside) == before


@pytest.mark.parametrize("thing", THINGS)
def test_what_only_reads_ends_too(kitchen: Kitchen, outside: Path, thing: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    path = place("marker of the plan", kitchen, plan)
    path.parent.mkdir(parents=True)
    THINGS[thing](path, outside)
    run = Watched(lambda: wait_for(plan, kitchen.root, 0.1, Reporter(kitchen.log)))
    assert "no done marker" in str(run.error)


@pytest.mark.parametrize("thing", THINGS)
def test_a_marker_that_nobody_can_read_stops_a_prune_by_name(kitchen: Kitchen, outside: Path, thing: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    path = place("marker of another plan", kitchen, plan)
    THINGS[thing](path, outside)
    run = Watched(lambda: Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)).run())
    assert str(path) in str(run.error)
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("thing", THINGS)
def test_a_manifest_that_nobody_can_read_stops_no_prune(kitchen: Kitchen, outside: Path, thing: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    path = place("manifest of others", kitchen, plan)
    path.parent.mkdir()
    THINGS[thing](path, outside)
    assert Watched(lambda: Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)).run()).error is None
    assert (kitchen.root / manifest_path("tiny")).is_file()
    assert (kitchen.root / place("blob", kitchen, plan)).is_file()


BAD_MANIFESTS = {
    "long digest": {"config": {"digest": "sha256:" + "a" * 5000}, "layers": []},
    "digest that leads out": {"config": {"digest": "sha256:../../../outside/victim"}, "layers": []},
    "digest with NUL": {"config": {"digest": "sha256:a\0b"}, "layers": []},
    "layers of numbers": {"config": {"digest": 1}, "layers": [1, 2]},
    "no object": [],
}


@pytest.mark.parametrize("bad", BAD_MANIFESTS.values(), ids=BAD_MANIFESTS.keys())
def test_one_bad_manifest_is_named_and_stops_nothing(kitchen: Kitchen, bad: object) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    path = place("manifest of others", kitchen, plan)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(bad))
    kitchen.fetch(plan)
    assert kitchen.models() == {"tiny:latest"}
    assert str(path.relative_to(kitchen.root)) in kitchen.log.getvalue()


FOLDERS = (".larder", ".larder/tmp", ".larder/parts")
TARGETS = {"out of the store": "outside", "to the store itself": "store", "to nothing": "nowhere"}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_ours_that_is_a_link_is_refused_and_nothing_behind_it_is_touched(
    kitchen: Kitchen, outside: Path, tmp_path: Path, folder: str, target: str
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    (kitchen.root / "blobs").mkdir(parents=True)
    (kitchen.root / "blobs" / "kept").write_text("kept")
    (outside / "tmp").mkdir()
    (outside / "tmp" / "old").write_text("old")
    (kitchen.root / folder).parent.mkdir(exist_ok=True)
    (kitchen.root / folder).symlink_to(tmp_path / target)
    before = contents(outside), contents(kitchen.root / "blobs")
    with pytest.raises(FetchError) as refused:
        kitchen.fetch(plan)
    assert str(kitchen.root / folder) in refused.value.reason
    assert (contents(outside), contents(kitchen.root / "blobs")) == before


def test_a_file_in_a_folder_s_place_is_named(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.root.mkdir()
    (kitchen.root / "blobs").write_text("")
    with pytest.raises(FetchError, match=r"blobs: .*folder"):
        kitchen.fetch(plan)


@pytest.mark.parametrize("folder", ["manifests/registry.ollama.ai", "manifests/registry.ollama.ai/library/tiny"])
def test_a_file_in_a_folder_of_ollama_is_named_with_the_way_out(kitchen: Kitchen, folder: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    (kitchen.root / folder).parent.mkdir(parents=True)
    (kitchen.root / folder).write_text("")
    with pytest.raises(FetchError, match=r"has the name of a folder\. Remove it"):
        kitchen.fetch(plan)


def test_a_marker_cannot_name_a_content_that_lies_elsewhere(kitchen: Kitchen, outside: Path) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub(), sha256="first-pull")
    url = plan.models[0].files[0].url
    (kitchen.root / "blobs" / "sha256-").mkdir(parents=True)
    (kitchen.root / ".larder").mkdir()
    value = {"schema": 1, "plan": OTHER, "completed-at": "x", "seconds": 0, "fetched-bytes": 0, "files": {}}
    value["first-pull"] = {url: "/../../../outside/victim"}
    (kitchen.root / marker_path(Path(), OTHER)).write_text(json.dumps(value))
    before = contents(outside)
    kitchen.fetch(plan)
    assert contents(outside) == before
    assert kitchen.models() == {"tiny:latest"}


def deep(folder: Path) -> None:
    """Folders in folders, deeper than a path may be long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_a_deep_tree_of_others_is_no_end_of_the_run(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    (kitchen.root / ".larder" / "tmp").mkdir(parents=True)
    deep(kitchen.root / ".larder" / "tmp")
    try:
        assert Watched(lambda: kitchen.fetch(plan)).error is None
    finally:
        _remove_deep(kitchen.root / ".larder" / "tmp", 1500)
    assert kitchen.models() == {"tiny:latest"}


def _remove_deep(top: Path, depth: int) -> None:
    """Flatten it from above: what is below is moved up first."""
    for number in range(depth):
        first = top / ("d" if number == 0 else f"d{number}")
        if not first.exists():
            return
        inner = first / "d"
        if inner.exists():
            inner.rename(top / f"d{number + 1}")
        first.rmdir()


@pytest.mark.parametrize("kind", ["uploads", "layers"])
def test_what_publish_remembers_goes_nowhere_else(kitchen: Kitchen, outside: Path, kind: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    (kitchen.root / ".larder" / kind).symlink_to(outside)
    before, file = sorted(path.name for path in outside.iterdir()), plan.models[0].files[0]
    with ExitStack() as stack:
        if kind == "uploads":
            stack.enter_context(UploadStates(kitchen.root)).save("host/repository@digest", "https://host/upload")
        else:
            LayerCache(kitchen.root, Reporter(kitchen.log)).find("m/tiny.gguf", file.sha256, file.bytes)
    assert sorted(path.name for path in outside.iterdir()) == before


@pytest.mark.parametrize("thing", THINGS)
def test_what_publish_remembers_may_be_anything(kitchen: Kitchen, outside: Path, thing: str) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    before, file = contents(outside), plan.models[0].files[0]
    for folder in (LAYERS, UPLOADS):
        (kitchen.root / folder).mkdir()

    def run() -> None:
        with UploadStates(kitchen.root) as sessions:
            sessions.save("u", "https://host/upload")
        layers = LayerCache(kitchen.root, Reporter(kitchen.log))
        layers.find("m/tiny.gguf", file.sha256, file.bytes)
        for folder in (LAYERS, UPLOADS):
            for path in (kitchen.root / folder).glob("*"):
                path.unlink()
                THINGS[thing](path, outside)
        with UploadStates(kitchen.root) as sessions:
            assert sessions.location_of("u") is None
            sessions.save("u", "https://host/upload")
        LayerCache(kitchen.root, Reporter(kitchen.log)).find("m/tiny.gguf", file.sha256, file.bytes)

    assert Watched(run).error is None
    assert contents(outside) == before


def test_another_s_file_under_a_second_name_is_not_written_into(kitchen: Kitchen, outside: Path) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    part = place("part", kitchen, plan)
    part.parent.mkdir(parents=True)
    os.link(outside / "victim", part)
    kitchen.fetch(plan)
    assert (outside / "victim").read_text() == "victim"


def test_a_marker_of_a_plan_says_what_lies_in_the_store_only(kitchen: Kitchen, outside: Path) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    facts = (outside / "victim").stat()
    odd = {
        name: Stored(bytes=facts.st_size, modified=int(facts.st_mtime), sha256=OTHER)
        for name in ("../outside/victim", "blobs/../../outside/victim", str(outside / "victim"), "a" * 5000, "a\0b")
    }
    write_marker(kitchen.root, Marker(plan=OTHER, completed_at="x", seconds=0, fetched_bytes=0, files=odd))
    Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)).run()
    assert (outside / "victim").read_text() == "victim"
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_a_prune_takes_no_link_for_the_folder_of_markers(
    kitchen: Kitchen, outside: Path, tmp_path: Path, target: str
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    write_marker(kitchen.root, Marker(plan=OTHER, completed_at="x", seconds=0, fetched_bytes=0, files={}))
    (kitchen.root / ".larder").rename(outside / "larder")
    (kitchen.root / ".larder").symlink_to(tmp_path / target if target != "outside" else outside / "larder")
    before = contents(outside)
    for prune in (Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)),):
        with pytest.raises(FetchError) as refused:
            prune.run()
        assert str(kitchen.root / ".larder") in refused.value.reason
    assert contents(outside) == before


def test_a_deep_tree_of_others_is_no_end_of_a_prune(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    write_marker(kitchen.root, Marker(plan=OTHER, completed_at="x", seconds=0, fetched_bytes=0, files={}))
    (kitchen.root / "models").mkdir()
    deep(kitchen.root / "models")
    try:
        assert Watched(lambda: Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)).run()).error is None
    finally:
        _remove_deep(kitchen.root / "models", 1500)
    assert kitchen.models() == {"tiny:latest"}


def test_a_copy_reads_no_more_of_a_shared_file_than_the_model_has(kitchen: Kitchen, tmp_path: Path) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    blob = place("blob", kitchen, plan)
    copied = tmp_path / "copy"

    class Longer(Reporter):
        """Others make the file longer when it is being read."""

        def transfer(self, name: str, *, total: int, start: int) -> Transfer:
            os.truncate(blob, 1 << 40)
            return super().transfer(name, total=total, start=start)

    run = Watched(lambda: copy(plan, copied, kitchen.root, Longer(kitchen.log)))
    assert "more bytes than" in str(run.error)
    assert sum(path.stat().st_size for path in copied.rglob("*") if path.is_file()) < it.bytes + (8 << 20)


def test_a_layer_ends_where_the_file_s_size_is_passed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    os.truncate(file, 1 << 40)
    with pytest.raises(ImageError, match="not 100"):
        Layer("m/x.gguf", file, 100).describe()


def test_a_remembered_layer_of_another_size_is_made_anew(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    file = plan.models[0].files[0]
    _, known = LayerCache(kitchen.root, Reporter(kitchen.log)).find("m/tiny.gguf", file.sha256, file.bytes)
    (path,) = (kitchen.root / LAYERS).iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"size": 10**15}))
    assert LayerCache(kitchen.root, Reporter(kitchen.log)).find("m/tiny.gguf", file.sha256, file.bytes)[1] == known


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400) | st.recursive(st.none() | st.text(max_size=9) | st.integers(), _nested).map(_json))
def test_no_content_of_a_small_file_is_more_than_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    load_marker(path)
    referenced_blobs(path)
    PieceJournal(path, 10**9).close()
    with suppress(FetchError), Lease(path, wait_seconds=0):
        pass
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    "where", ["manifests", "manifests/a", "manifests/a/b/c", ".larder", "gguf"], ids=lambda where: where.strip(".")
)
def test_a_folder_of_more_entries_than_a_store_has_is_named(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    write_marker(kitchen.root, Marker(plan=OTHER, completed_at="x", seconds=0, fetched_bytes=0, files={}))
    monkeypatch.setattr(disk, "MAX_ENTRIES", 20)
    (kitchen.root / where).mkdir(parents=True, exist_ok=True)
    for number in range(30):
        (kitchen.root / where / f"{number}.json").touch()
    prune = Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log))
    with pytest.raises(FetchError, match="more than 20 entries") as refused:
        prune.run()
    assert str(kitchen.root / where.partition("/")[0]) in refused.value.reason
    assert (kitchen.root / manifest_path("tiny")).is_file()
    if where.startswith("manifests"):
        with pytest.raises(FetchError, match="more than 20 entries"):
            kitchen.fetch(plan, distrust=True)
    else:
        assert kitchen.fetch(plan, distrust=True).fetched_bytes == 0


def test_markers_of_others_take_no_more_memory_than_their_share(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    odd = {f"blobs/../x{number}": Stored(bytes=1, modified=1, sha256=OTHER) for number in range(100)}
    write_marker(kitchen.root, Marker(plan=OTHER, completed_at="x", seconds=0, fetched_bytes=0, files=odd))
    monkeypatch.setattr(marker, "MAX_BYTES", 5000)
    assert kitchen.fetch(plan, distrust=True).fetched_bytes == 0
    with pytest.raises(FetchError, match=r"\.larder: the markers have more than"):
        Prune(plan, kitchen.root, [OTHERS], Reporter(kitchen.log)).run()
    assert kitchen.models() == {"tiny:latest"}


def test_a_part_that_is_longer_than_the_file_is_cut(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub(Faults(stall_after=BIG // 2))
    plan = kitchen.plan(hub)
    with pytest.raises(FetchError):
        kitchen.fetch(plan, patience=IMPATIENT)
    part = place("part", kitchen, plan)
    os.truncate(part, 1 << 40)
    hub.faults = Faults()
    assert kitchen.fetch(plan).fetched_bytes < it.bytes
    assert place("blob", kitchen, plan).stat().st_size == it.bytes
