"""A store is filled once, verified, and repaired where it was damaged."""

import errno
import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from larder_sidecar.config.weights import FIRST_PULL, ModelWeights, WeightsPlan
from larder_sidecar.weights.errors import ContentError, DiskFullError, GgufError, PlanError, ReadOnlyError, StoreError
from larder_sidecar.weights.store.disk import translate_os_errors
from larder_sidecar.weights.store.marker import marker_path, read_marker
from larder_sidecar.weights.store.ollama_layout import blob_path

from testbed.hub.faults import Faults
from testbed.hub.gguf_writer import gguf
from tests.sidecar.weights.kitchen import BIG, RECIPE, Kitchen


def test_a_model_arrives_whole_and_a_second_run_fetches_nothing(kitchen: Kitchen) -> None:
    size = kitchen.publish().bytes
    hub = kitchen.hub()
    plan = kitchen.plan(hub)

    assert kitchen.fetch(plan).fetched_bytes == size
    requests = hub.stats.requests
    again = kitchen.fetch(plan)

    assert kitchen.models() == {"tiny:latest"}
    assert (again.fetched_bytes, again.reused_bytes) == (0, size)
    assert hub.stats.requests == requests
    assert sum(hub.stats.bytes.values()) == size
    assert not (kitchen.root / ".larder/lease").exists()


def test_the_manifest_holds_weights_template_and_parameters(kitchen: Kitchen) -> None:
    kitchen.publish()
    kitchen.fetch(kitchen.plan(kitchen.hub()))

    manifest = json.loads((kitchen.root / "manifests/registry.ollama.ai/library/tiny/latest").read_text())
    layers = {layer["mediaType"].rpartition(".")[2]: layer["digest"] for layer in manifest["layers"]}
    read = {kind: (kitchen.root / blob_path(digest[7:])).read_bytes() for kind, digest in layers.items()}
    assert read["template"].decode() == RECIPE.template
    assert json.loads(read["params"]) == RECIPE.params
    assert layers["model"] == f"sha256:{kitchen.published['tiny'].sha256}"
    config = json.loads((kitchen.root / blob_path(manifest["config"]["digest"][7:])).read_text())
    assert (config["model_family"], config["file_type"], config["model_type"]) == ("llama", "F32", "31K")


def test_every_served_name_gets_a_manifest_and_latest_is_the_default_tag(kitchen: Kitchen) -> None:
    kitchen.publish()
    model = kitchen.plan(kitchen.hub()).models[0]
    names = {"served_names": ["tiny", "tiny:q4", "other"]}
    kitchen.fetch(WeightsPlan(models=[ModelWeights.model_validate(model.model_dump() | names)]))
    assert kitchen.models() == {"tiny:latest", "tiny:q4", "other:latest"}


def test_weights_have_a_plain_name_for_engines_that_take_files(kitchen: Kitchen) -> None:
    plan = kitchen.plan(kitchen.hub(), kitchen.publish().path.removesuffix(".gguf"))
    kitchen.fetch(plan)
    plain = kitchen.root / "gguf/tiny.gguf"
    assert plain.readlink() == Path("..", blob_path(kitchen.published["tiny"].sha256))
    assert plain.read_bytes().startswith(b"GGUF")


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: (path.unlink(), path.symlink_to("../nowhere"))])
def test_a_plain_name_that_is_wrong_is_made_again(kitchen: Kitchen, spoil: Callable[[Path], object]) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    spoil(kitchen.root / "gguf/tiny.gguf")
    assert kitchen.fetch(plan).fetched_bytes == 0
    assert (kitchen.root / "gguf/tiny.gguf").is_file()


def test_a_store_from_before_there_were_plain_names_gets_them(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    marker = marker_path(kitchen.root, plan.digest())
    old = json.loads(marker.read_text())
    del old["files"]["gguf/tiny.gguf"]
    marker.write_text(json.dumps(old))
    (kitchen.root / "gguf/tiny.gguf").unlink()
    assert kitchen.fetch(plan).fetched_bytes == 0
    assert (kitchen.root / "gguf/tiny.gguf").is_file()


def test_a_lost_blob_is_fetched_again_and_only_that_one(kitchen: Kitchen) -> None:
    lost, kept = kitchen.publish("lost", seed=1), kitchen.publish("kept", seed=2)
    hub = kitchen.hub()
    plan = kitchen.plan(hub)
    kitchen.fetch(plan)
    (kitchen.root / blob_path(lost.sha256)).unlink()

    summary = kitchen.fetch(plan)

    assert (summary.fetched_bytes, summary.reused_bytes) == (lost.bytes, kept.bytes)
    assert kitchen.models() == {"lost:latest", "kept:latest"}


def test_damage_of_the_same_size_is_found_by_time_and_repaired(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    blob = kitchen.root / blob_path(it.sha256)
    blob.write_bytes(bytes(it.bytes))
    os.utime(blob, (0, 0))

    assert kitchen.fetch(plan).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}
    assert "corrupted" in kitchen.events()


def test_verify_finds_damage_that_left_size_and_time_alone(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    blob = kitchen.root / blob_path(it.sha256)
    times = blob.stat()
    blob.write_bytes(bytes(it.bytes))
    os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))

    assert kitchen.fetch(plan).fetched_bytes == 0
    assert kitchen.fetch(plan, distrust=True).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}


def test_a_lost_manifest_or_marker_costs_no_download(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    (kitchen.root / "manifests/registry.ollama.ai/library/tiny/latest").unlink()
    assert kitchen.fetch(plan).fetched_bytes == 0
    assert kitchen.models() == {"tiny:latest"}
    marker_path(kitchen.root, plan.digest()).write_text("{")
    assert kitchen.fetch(plan).fetched_bytes == 0


def test_another_plan_with_the_same_weights_reuses_them_unread(kitchen: Kitchen) -> None:
    one = kitchen.publish("one", seed=1)
    kitchen.publish("two", seed=2)
    hub = kitchen.hub()
    kitchen.fetch(kitchen.plan(hub, "one"))
    summary = kitchen.fetch(kitchen.plan(hub, "one", "two"))
    assert summary.reused_bytes == one.bytes
    assert "verifying" not in kitchen.events()


def test_a_mirror_is_not_asked_for_what_the_first_hub_gave(kitchen: Kitchen) -> None:
    kitchen.publish()
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    mirror = kitchen.hub()
    assert kitchen.fetch(kitchen.plan(mirror)).fetched_bytes == 0
    assert mirror.stats.requests == 0


@pytest.mark.parametrize("faults", [Faults(), Faults(no_linked_etag=True)], ids=["hub knows the hash", "nobody does"])
def test_first_pull_records_the_hash(kitchen: Kitchen, faults: Faults) -> None:
    it = kitchen.publish()
    plan = kitchen.plan(kitchen.hub(faults), sha256=FIRST_PULL)
    kitchen.fetch(plan)
    marker = read_marker(kitchen.root, plan.digest())
    assert marker is not None
    assert list(marker.first_pull.values()) == [it.sha256]
    assert kitchen.fetch(plan).fetched_bytes == 0


def test_first_pull_believes_the_hub_over_the_bytes(kitchen: Kitchen) -> None:
    kitchen.publish()
    with pytest.raises(ContentError, match="sha256"):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(garbage=True)), sha256=FIRST_PULL))
    assert kitchen.models() == set()


def test_an_old_version_serves_until_the_new_one_is_complete(kitchen: Kitchen) -> None:
    kitchen.publish(seed=1)
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    kitchen.publish(seed=2)
    with pytest.raises(ContentError):
        kitchen.fetch(kitchen.plan(kitchen.hub(Faults(garbage=True))))
    assert kitchen.models() == {"tiny:latest"}


def test_a_file_that_is_no_gguf_is_never_placed(kitchen: Kitchen) -> None:
    kitchen.publish(chunks=[b"lmgg" + bytes(1000)])
    with pytest.raises(GgufError, match=r"^model tiny, file tiny\.gguf: the file has the legacy format GGML"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == set()
    assert kitchen.part_bytes() == 0


def test_a_file_without_a_tensor_is_no_model(kitchen: Kitchen) -> None:
    kitchen.publish(chunks=[gguf({"general.architecture": "llama"}, [])])
    with pytest.raises(PlanError, match=r"model tiny: .*no tensors"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == set()


def test_a_split_model_is_refused_with_the_way_out(kitchen: Kitchen) -> None:
    kitchen.publish("one", seed=1)
    kitchen.publish("two", seed=2)
    plan = kitchen.plan(kitchen.hub())
    both = plan.models[0].model_copy(update={"files": [m.files[0] for m in plan.models]})
    with pytest.raises(PlanError, match="gguf-split --merge"):
        kitchen.fetch(WeightsPlan(models=[both]))


def test_one_part_of_a_split_model_is_not_taken_for_the_model(kitchen: Kitchen) -> None:
    kitchen.publish(chunks=[gguf({"general.architecture": "llama", "split.count": 3}, [])])
    with pytest.raises(PlanError, match="this model has 3"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == set()


def test_parts_that_nobody_resumes_do_not_fill_the_disk(kitchen: Kitchen) -> None:
    kitchen.publish()
    parts = kitchen.root / ".larder/parts"
    parts.mkdir(parents=True)
    for name, age in (("young", 6 * 86_400), ("old", 8 * 86_400)):
        (parts / name).touch()
        os.utime(parts / name, (time.time() - age, time.time() - age))
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert [path.name for path in parts.iterdir()] == ["young"]


def test_no_byte_is_asked_for_where_space_lacks(kitchen: Kitchen) -> None:
    it = kitchen.publish()
    hub = kitchen.hub()
    with pytest.raises(DiskFullError, match=rf"{it.bytes + 16 * 2**20} bytes are needed, 5 are free"):
        kitchen.fetch(kitchen.plan(hub), free=lambda _: 5)
    assert hub.stats.bytes == {}


def test_a_full_disk_keeps_what_came_and_the_next_run_resumes(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub()
    plan = kitchen.plan(hub)
    with file_size_limit(1_000_000), pytest.raises(StoreError, match="too large"):
        kitchen.fetch(plan)
    assert kitchen.models() == set()
    assert kitchen.part_bytes() == 1_000_000

    with file_size_limit(100), pytest.raises(StoreError, match="too large"):
        kitchen.fetch(plan)
    assert not (kitchen.root / ".larder/lease").exists(), "a lease without a whole name is waited for"

    assert kitchen.fetch(plan).fetched_bytes == it.bytes - 1_000_000
    assert kitchen.models() == {"tiny:latest"}


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Stands for a full disk: the kernel ends a write half way and refuses the next one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


DISK = {
    errno.ENOSPC: DiskFullError,
    errno.EDQUOT: DiskFullError,
    errno.EROFS: ReadOnlyError,
    errno.EACCES: ReadOnlyError,
    errno.EIO: StoreError,
}


@pytest.mark.parametrize(("number", "error"), DISK.items(), ids=map(errno.errorcode.get, DISK))
def test_errors_of_the_disk_are_told_in_our_words(number: int, error: type[StoreError]) -> None:
    with pytest.raises(error, match=os.strerror(number)), translate_os_errors(Path("/store")):
        raise OSError(number, os.strerror(number))


def test_a_read_only_store_is_named_with_the_way_out(kitchen: Kitchen) -> None:
    """Nobody, root included, may make a folder in /sys."""
    kitchen.publish()
    kitchen.root = Path("/sys/store")
    with pytest.raises(ReadOnlyError, match=r"/sys/store.*Mount it writable for uid 1000"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))


def test_a_complete_store_needs_no_write(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    before = {path: path.stat().st_mtime_ns for path in kitchen.root.rglob("*")}
    kitchen.fetch(plan)
    assert before == {path: path.stat().st_mtime_ns for path in kitchen.root.rglob("*")}


LINKS = ["blobs", "manifests", ".larder", ".larder/parts", ".larder/tmp", "manifests/registry.ollama.ai/library"]


@pytest.mark.parametrize("place", LINKS)
def test_a_link_out_of_the_store_is_named_and_nothing_behind_it_is_touched(kitchen: Kitchen, place: str) -> None:
    kitchen.publish()
    outside = kitchen.folder / "outside"
    outside.mkdir()
    (outside / "precious").write_text("old and dear")
    os.utime(outside / "precious", (1, 1))
    link = kitchen.root / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(StoreError, match=f"{place} leads out of the store"):
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert [path.name for path in outside.rglob("*")] == ["precious"]


def _a_link(path: Path) -> None:
    path.symlink_to(path.parents[3] / "precious")


def _nested(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


@pytest.mark.parametrize("name", ["parts/{sha256}", "parts/{sha256}.json", "tmp/x"])
@pytest.mark.parametrize("put", [_a_link, os.mkfifo, Path.mkdir, _nested])
def test_what_is_not_ours_in_the_state_folder_is_in_nobodys_way(
    kitchen: Kitchen, name: str, put: Callable[[Path], None]
) -> None:
    it = kitchen.publish()
    (kitchen.folder / "precious").write_text("dear")
    place = kitchen.root / ".larder" / name.format(sha256=it.sha256)
    place.parent.mkdir(parents=True)
    put(place)
    kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert kitchen.models() == {"tiny:latest"}
    assert (kitchen.folder / "precious").read_text() == "dear"


def test_nonsense_in_manifests_and_markers_is_passed_over(kitchen: Kitchen) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    kitchen.fetch(plan)
    marker = kitchen.root / f".larder/{plan.digest()}.json"
    marker.write_text(marker.read_text().replace('"blobs/', '"\\u0000/', 1))
    nested = kitchen.root / "manifests/a/b/c/d"
    nested.parent.mkdir(parents=True)
    _nested(nested)
    assert kitchen.fetch(plan).fetched_bytes == 0
    assert kitchen.models() == {"tiny:latest"}
