"""The two places the testbed writes to: this checkout's state and the user's cache folder."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".larder"
"""Everything of this checkout: cluster, disk, venv, Pulumi state. `make clean` removes it."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "larder"
"""What every checkout of this user can share: the built toolchain, by the hash of its pins. `make clean-cache`."""
VENV = STATE / "venv"
