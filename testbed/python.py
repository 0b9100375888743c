"""The Python environment of this checkout: exactly the locked versions, checked by hash."""

import hashlib
import shutil
import sys
from pathlib import Path

from .locks import alone
from .paths import HOME, ROOT, VENV
from .progress import TestbedError, run, step

LOCK = ROOT / "requirements.lock"
STAMP = VENV / "larder-lock"


def ensure() -> None:
    """Make the environment, or bring it to the lock file. An interrupted one is made anew."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs before anything has checked requires-python)
        msg = f"Python {sys.version.split()[0]} is too old: Larder needs 3.11 or newer as python3 on PATH"
        raise TestbedError(msg)
    with alone(HOME / "venv.lock", "another make is installing Python packages"):
        _install(hashlib.sha256(LOCK.read_bytes()).hexdigest())


def _install(wanted: str) -> None:
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    log = HOME / "log" / "venv.log"
    with step("Python packages", 60):
        shutil.rmtree(VENV, ignore_errors=True)
        run([sys.executable, "-m", "venv", VENV], log=log)
        pip: list[str | Path] = [
            VENV / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-compile",
        ]
        run([*pip, "--require-hashes", "-r", LOCK], log=log)
        STAMP.write_text(wanted)
