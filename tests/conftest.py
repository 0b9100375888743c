"""Settings of every test."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.examples import up_to

# A busy machine or an unlucky draw is no fault of a property; one that never holds its `assume` fails all the same.
LUCK = [HealthCheck.too_slow, HealthCheck.filter_too_much]
settings.register_profile("larder", up_to(100), deadline=None, suppress_health_check=LUCK)
settings.load_profile("larder")

# Until the tests are collected: nearly all that is made by then stays, and walking it takes a quarter of that time.
gc.disable()

IN_MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that must be free there."""


def pytest_configure() -> None:
    """Put temporary folders into memory where they fit: thousands of files are made, flushed and removed."""
    if "TMPDIR" not in os.environ and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector what was imported: a tenth of the time of `make test` would go into walking SDK classes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()
