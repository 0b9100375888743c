"""Reload of the gateway's file: names, rules, origins and residency times follow it; the rest needs a new pod."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from ..config.gateway import GatewayConfig
from ..config.read import ConfigError, read_config
from ..log import Log
from ..routing.router import Router

PERIOD = 2.0
"""Seconds between two checks. The kubelet renews a mounted ConfigMap within a minute or so."""


class Reload:
    """Watches the file; an invalid file changes nothing."""

    def __init__(
        self, path: Path, config: GatewayConfig, read: Callable[[GatewayConfig, Router], None], log: Log
    ) -> None:
        self._path = path
        self._config = config
        self._read = read
        self._log = log
        self._seen: _Stamp = None  # it may have changed since it was read
        self.problem = ""
        """The problem of the file as it is now; '' if it is in force."""
        self.taken = 0
        self.refused = 0

    async def watch(self) -> None:
        """Check the file periodically until cancelled."""
        while True:
            await asyncio.sleep(PERIOD)
            await self.look()

    async def look(self) -> None:
        """Take the file's settings if it has changed and is valid."""
        stamp = _stamp(self._path)
        if stamp == self._seen and stamp is not None:
            return
        self._seen = stamp
        try:
            # In a thread: rules may take a tenth of a second to compile.
            new, router = await asyncio.to_thread(self._read_and_compile)
        except ConfigError as reason:
            self._refuse("; ".join(reason.problems))
            return
        except Exception as reason:  # noqa: BLE001 (after any error the watch goes on, and reports it)
            self._refuse(f"{type(reason).__name__}: {reason}")
            return
        before, after = self._config.fixed(), new.fixed()
        others = sorted(key for key in after if after[key] != before[key])
        if others:
            self._refuse(f"{', '.join(others)} changed, which takes a new pod")
            return
        self.problem = ""
        if new == self._config:
            return
        self._read(new, router)
        self._config = new
        self.taken += 1
        self._log.say("info", "names and rules reloaded", rules=len(new.routing.rules))

    def _read_and_compile(self) -> tuple[GatewayConfig, Router]:
        new = read_config(self._path, GatewayConfig)
        return new, Router(new.routing)

    def _refuse(self, problem: str) -> None:
        if problem == self.problem:
            return  # reported already
        self.problem = problem
        self.refused += 1
        self._log.say("error", "the file was not reloaded: what was in force stays", problem=problem)


_Stamp: TypeAlias = tuple[int, int, int] | None


def _stamp(path: Path) -> _Stamp:
    """Return a value that changes with the content: a mounted ConfigMap is another file behind the same link."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
