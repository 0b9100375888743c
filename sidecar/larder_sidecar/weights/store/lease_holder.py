"""The holder of a lease, as the file names it. Every pod that shares the storage can write that file."""

import json
import re
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from . import untrusted

MAX_LEASE = 4096
"""Bytes of a lease file."""
_WORD = re.compile(r"[\w.:+ -]{0,253}", re.ASCII)
"""Texts that a lease may hold: messages repeat them, and every pod that shares the storage can write them."""


@dataclass(frozen=True)
class Holder:
    """The holder of a lease, as the file names it."""

    id: str = ""
    host: str = "unknown"
    kernel: str = ""
    since: str = "some time ago"

    @classmethod
    def this_process(cls) -> Self:
        """Return a new holder in this process."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(id=uuid.uuid4().hex, host=socket.gethostname(), kernel=_kernel(), since=now)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the holder in a lease; None if there is no file."""
        try:
            return cls.parse(untrusted.read_file(path, MAX_LEASE))
        except untrusted.OddFileError:
            return cls()
        except FileNotFoundError:
            return None

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Return the holder in the content of a lease; an unknown one if the content is not ours."""
        try:
            holder = cls(**json.loads(content))
            if all(_WORD.fullmatch(text) for text in vars(holder).values()):
                return holder
        except (ValueError, TypeError, RecursionError):
            pass
        # Its holder was killed before it wrote its name, or the file is not ours.
        return cls()


def _kernel() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex
