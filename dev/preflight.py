"""Checks of this machine before `make up`: everything that is missing at once, each with what to do."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .progress import CommandError
from .toolchain import tools
from .toolchain.build import Tool


def check(needed: Iterable[Tool], others: Iterable[str] = ()) -> None:
    """Check that this machine can build the required tools. Raise CommandError with every problem.

    `others` are problems that the caller found.
    """
    problems = []
    if platform.system() != "Linux":
        problems.append(f"{platform.system()}: images are built on Linux only.")
    elif os.geteuid() != 0:
        problems.append("not root: building images and making namespaces need it.")
    if shutil.which("apt-get") is None:
        problems.append("no apt-get: base images and tools come from Debian packages. Use Debian or Ubuntu.")
    missing = [tool.name for tool in needed if not tool.home.exists()]
    in_go = [name for name in missing if name not in (tools.SHIMMY.name, tools.LLAMA_SERVER.name)]
    if in_go and shutil.which("go") is None:
        problems.append(f"no go: {', '.join(in_go)} must be built from source. Install Go 1.26 or newer.")
    if tools.SHIMMY.name in missing and shutil.which("cargo") is None:
        problems.append("no cargo: shimmy must be built from source. Install Rust 1.90 or newer.")
    if missing and not _has_default_route():
        problems.append(
            f"no network: {', '.join(missing)} must be downloaded and built, and this host has no route out."
        )
    problems += others
    if problems:
        msg = "this machine cannot run `make up`:\n" + "\n".join(f"  - {p}" for p in problems)
        raise CommandError(msg)


def _has_default_route() -> bool:
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    return any(route.split()[1] == "00000000" for route in routes) or ":" in _ipv6_default()


def _ipv6_default() -> str:
    return subprocess.run(["ip", "-6", "route", "show", "default"], capture_output=True, text=True, check=False).stdout
