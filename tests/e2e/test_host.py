"""The embedded cluster and its host: a killed cluster starts again, and a dropped one leaves nothing behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster import cgroups, cluster, network
from testbed.cluster.layout import HOST

from .conftest import Platform

PLUGINS_END_WITHIN = 30.0
"""Seconds after the CLI; each notices by itself."""

pytestmark = pytest.mark.timeout(1800)


def members(namespace: str) -> Iterator[str]:
    """Return the command lines of the processes in a PID namespace."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str((process / "ns" / "pid_for_children").readlink()) == namespace:
                yield (process / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it ended while we looked
            continue


def plugins(root: Path) -> list[str]:
    """Return the command lines of the checkout's plugins."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_text().split("\0")
        except OSError:  # it ended while we looked
            continue
        if words[0] == str(root / ".larder/venv/bin/python") and any(
            word.startswith(("testbed.plugin.", "pulumi.policy")) for word in words
        ):
            found.append(" ".join(words))
    return found


def pid() -> int:
    found = cluster._pid()
    assert found is not None
    return found


def test_a_cluster_that_was_killed_serves_again_after_up(platform: Platform) -> None:
    os.kill(pid(), signal.SIGKILL)
    platform.make("up")
    assert "choices" in platform.serves()


def cut_off(platform: Platform, word: bytes, sign: signal.Signals) -> None:
    """`make up`, ended by a signal to all of it at the first line with `word`; its plugins go with it."""
    with subprocess.Popen(["make", "up"], cwd=platform.root, start_new_session=True, stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        assert any(word in line for line in up.stdout)
        os.killpg(up.pid, sign)
    deadline = time.monotonic() + PLUGINS_END_WITHIN
    while (left := plugins(platform.root)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


def test_an_up_that_was_killed_is_finished_by_the_next_one(platform: Platform) -> None:
    platform.swap("none")
    platform.write_strategy("node-local")
    cut_off(platform, b"Deployment ollama", signal.SIGKILL)
    assert "Larder is up." in platform.make("up")
    assert platform.weights_volume() == "weights-node-local"


def test_what_was_being_made_when_the_terminal_closed_is_not_made_twice(platform: Platform) -> None:
    platform.make("down")
    cut_off(platform, b"Job prepare-path-larder creating", signal.SIGHUP)
    assert "Larder is up." in platform.make("up")


def test_a_dropped_cluster_leaves_no_process_mount_link_or_cgroup(platform: Platform) -> None:
    namespace = str(Path(f"/proc/{pid()}/ns/pid_for_children").readlink())
    link = network.Link.of((HOST / "subnet").read_text()).name
    assert list(members(namespace))
    cluster.drop(keep_disk=True)
    assert list(members(namespace)) == []
    assert str(HOST.parent) not in Path("/proc/self/mountinfo").read_text()
    assert not Path("/sys/class/net", link).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{cgroups.NAME}"))
    assert not HOST.exists()
