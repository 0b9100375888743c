"""What every test of the fetch role starts from."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sidecar.weights.kitchen import Kitchen


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    with ExitStack() as stack:
        yield Kitchen(tmp_path, stack)
    assert "lease" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.delenv("no_proxy", raising=False)  # Python prefers the lower-case name.
    monkeypatch.delenv("HF_TOKEN", raising=False)
