"""The Python environment of this checkout: exactly the locked versions, checked by hash."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from .locks import alone
from .paths import CLOUDS, HOME, ROOT, VENV
from .progress import CommandError, run, step

LOCK = ROOT / "requirements.lock"
LOCK_OF_CLOUDS = ROOT / "requirements.clouds.lock"
STAMP = "larder-lock"
"""In what was installed whole: the hash of its lock file."""
PATHS = "larder.pth"
"""The packages of this checkout, as an editable install names them; relative, so that a checkout may move."""


def ensure() -> None:
    """Make the environment, or bring it to the lock file. An interrupted one is made anew."""
    if sys.version_info < (3, 11):  # noqa: UP036 (this runs before anything has checked requires-python)
        msg = f"Python {sys.version.split()[0]} is too old: Larder needs 3.11 or newer as python3 on PATH"
        raise CommandError(msg)
    with alone(HOME / "venv.lock", "another make is installing Python packages"):
        if _is_there(VENV, LOCK):
            _add_paths()
            return
        log = HOME / "log" / "venv.log"
        with step("Python packages", 60):
            shutil.rmtree(VENV, ignore_errors=True)
            run([sys.executable, "-m", "venv", VENV], log=log)
            run([*_pip(), "--require-hashes", "-r", LOCK], log=log)
            _add_paths()
            _stamp(VENV, LOCK)


def clouds() -> None:
    """Install the packages of the clouds beside the environment, which has what they need."""
    with alone(HOME / "venv.lock", "another make is installing Python packages"):
        if _is_there(CLOUDS, LOCK_OF_CLOUDS):
            return
        with step("Python packages of the clouds", 15):
            shutil.rmtree(CLOUDS, ignore_errors=True)
            what: list[str | Path] = ["--no-deps", "--target", CLOUDS, "--require-hashes", "-r", LOCK_OF_CLOUDS]
            run([*_pip(), *what], log=HOME / "log" / "clouds.log")
            _stamp(CLOUDS, LOCK_OF_CLOUDS)


def _add_paths() -> None:
    """Make the packages of this checkout and the sidecar importable in the environment, from any folder."""
    for packages in (VENV / "lib").glob("python3.*/site-packages"):
        paths = "".join(f"{os.path.relpath(folder, packages)}\n" for folder in (ROOT, ROOT / "sidecar"))
        (packages / PATHS).write_text(paths)


def _pip() -> list[str | Path]:
    return [VENV / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]


def _is_there(folder: Path, lock: Path) -> bool:
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == _hash(lock)


def _stamp(folder: Path, lock: Path) -> None:
    (folder / STAMP).write_text(_hash(lock))


def _hash(lock: Path) -> str:
    return hashlib.sha256(lock.read_bytes()).hexdigest()
