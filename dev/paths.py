"""The two folders that commands write to: this checkout's state and the user's cache."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".larder"
"""State of this checkout. `make clean` removes it."""
STATE = Path(os.environ.get("LARDER_STATE") or HOME)
"""Cluster, disk and Pulumi state. The end-to-end tests set another folder, so that they never touch stack dev."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "larder"
"""Shared by every checkout of this user: the built toolchain, by the hash of its pins. `make clean-cache`."""
VENV = HOME / "venv"
CLOUDS = HOME / "clouds"
"""Packages of the clouds, outside the environment: Pulumi's CLI downloads the plugin of every package in it."""
STACKS = Path(os.environ.get("LARDER_STACKS") or ROOT)
"""Folder of the stack files that `make up` deploys."""
