"""The cache of built tools: one build for each set of pins, whole or not at all."""

from pathlib import Path

import pytest

from dev.progress import CommandError, run
from dev.toolchain import build
from dev.toolchain.build import Tool

BUILT: list[Path] = []


def _compile(out: Path, _log: Path) -> None:
    (out / "bin").mkdir()
    (out / "bin" / "tool").touch()
    BUILT.append(out)


def _break(out: Path, _log: Path) -> None:
    (out / "half").touch()
    raise CommandError("no compiler")


@pytest.fixture
def tool(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    BUILT.clear()
    pins = tmp_path / "go.sum"
    pins.write_text("h1:a")

    def make(recipe=_compile, needs=()):
        return Tool(name="tool", title="a tool", expected=0, pins=(pins,), build=recipe, needs=needs)

    return make


def test_a_tool_is_built_once_for_every_checkout(tool):
    assert tool().ensure() == tool().ensure()
    assert len(BUILT) == 1


def test_other_pins_are_another_tool(tool):
    first = tool().ensure()
    tool().pins[0].write_text("h1:b")
    assert tool().ensure() != first
    assert len(BUILT) == 2


def test_what_a_tool_is_made_from_is_part_of_its_name(tool):
    assert tool(needs=(tool(),)).home != tool().home


def test_a_build_that_broke_off_leaves_nothing_that_looks_finished(tool):
    broken = tool(_break)
    with pytest.raises(CommandError):
        broken.ensure()
    assert not broken.home.exists()
    assert tool().ensure().exists()


def test_a_failed_command_shows_the_end_of_its_own_log_and_nothing_older(tmp_path):
    log = tmp_path / "log"
    run(["echo", "earlier"], log=log)
    with pytest.raises(CommandError, match="exit code 3") as failed:
        run(["sh", "-c", "echo why; exit 3"], log=log)
    assert "why" in str(failed.value)
    assert "earlier" not in str(failed.value)
