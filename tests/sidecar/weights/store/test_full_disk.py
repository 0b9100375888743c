"""On a disk that is really full nothing partial is visible; it is said what lacks where; the next start resumes."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from larder_sidecar.weights.errors import DiskFullError

from tests.sidecar.weights.kitchen import BIG, Kitchen

MIB = 2**20
SIZE = 24 * MIB
"""The 16 MiB that stay free, a model of BIG bytes, and a little more."""


@pytest.fixture(autouse=True)
def disk(kitchen: Kitchen) -> Iterator[None]:
    """The store lies on a tmpfs in a mount namespace, which ends with the process that holds it."""
    place = kitchen.folder / "disk"
    place.mkdir()
    script = f'mount -t tmpfs -o size={SIZE} larder "$1" && echo mounted && exec cat'
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *user, "--mount", "sh", "-c", script, "sh", str(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        if holder.stdout.readline() != b"mounted\n":
            if os.environ.get("CI") and not user:
                pytest.fail("cannot mount a tmpfs in a namespace")
            pytest.skip("cannot mount a tmpfs in a namespace: needs root, or user namespaces for everybody")
        kitchen.root = Path(f"/proc/{holder.pid}/root{place}/store")
        kitchen.root.mkdir()
        yield


def fill(root: Path, *, leave: int) -> Path:
    """A file of another program beside the store."""
    filler = root.parent / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(root).free - leave)
    return filler


def test_before_the_first_byte_the_missing_ones_are_counted(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    hub = kitchen.hub()
    fill(kitchen.root, leave=5 * MIB)
    needed = it.bytes + 16 * MIB
    with pytest.raises(DiskFullError, match=rf"store: {needed} bytes are needed, 5\d+ are free: 1\d+ are missing"):
        kitchen.fetch(kitchen.plan(hub), free=lambda root: shutil.disk_usage(root).free)
    assert hub.stats.bytes == {}


def test_what_came_before_somebody_filled_it_is_kept_and_resumed(kitchen: Kitchen) -> None:
    it = kitchen.publish(size=BIG)
    plan = kitchen.plan(kitchen.hub())
    filler: list[Path] = []

    def filled_in_between(root: Path) -> int:
        free = shutil.disk_usage(root).free
        filler.append(fill(root, leave=MIB))
        return free

    with pytest.raises(DiskFullError) as caught:
        kitchen.fetch(plan, free=filled_in_between)
    assert f"{kitchen.root}: No space left on device" in caught.value.reason
    assert "Make the volume larger" in caught.value.remedy
    kept = kitchen.part_bytes()
    assert 0 < kept <= MIB

    with pytest.raises(DiskFullError, match="No space left on device"):
        kitchen.fetch(plan)
    assert kitchen.part_bytes() == kept
    assert kitchen.models() == set()
    assert list((kitchen.root / "blobs").iterdir()) == []
    assert not (kitchen.root / ".larder/lease").exists(), "a lease without a whole name is waited for"

    filler[0].unlink()
    assert kitchen.fetch(plan).fetched_bytes == it.bytes - kept
    assert kitchen.models() == {"tiny:latest"}
