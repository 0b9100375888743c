"""The `preview` fixture: the real program, through the real SDK, against a recorder in place of the engine."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program.previews import STACKS, Preview, preview_of


@pytest.fixture(scope="session")
def preview() -> Callable[..., Preview]:
    """`preview("node-local", {"larder:…": …}, unknowns=…)`; equal calls are one run, however they are written."""
    runs: dict[str, Preview] = {}

    def run(*args: object, **options: object) -> Preview:
        call = inspect.signature(preview_of).bind(*args, **options)
        call.apply_defaults()
        key = repr(call.arguments)
        if key not in runs:
            runs[key] = preview_of(*args, **options)  # type: ignore[arg-type]  # the fixture has preview_of's signature
        return runs[key]

    return run


@pytest.fixture(autouse=True)
def _no_overlay_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LARDER_OVERLAY", raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each stack in one worker: its tests share previews, which another worker would repeat."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and isinstance(item, pytest.Function):
            stack = item.callspec.params.get("stack") if hasattr(item, "callspec") else None
            if stack in STACKS:
                item.add_marker(pytest.mark.together(f"previews of {stack}"))
