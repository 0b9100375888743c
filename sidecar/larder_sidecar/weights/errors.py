"""Why a store could not be filled, or an image not be published.

    FetchError
    ├── HubError                 the hub said no, or something that cannot be trusted
    │   ├── NotFoundError        404: repository, revision or file
    │   ├── DeniedError          401, 403: private or gated, token missing or not good enough
    │   ├── RevisionError        another commit than the plan pins
    │   ├── RedirectError        sent to a place we do not follow
    │   ├── ContentError         size or hash is not what the plan says
    │   ├── ChunkError           a registry takes blobs as a whole only
    │   └── TransientError       worth another attempt: connection lost, 5xx, 429
    │       ├── BusyError        429, 503: the host has too much to do
    │       └── StallError       bytes stopped coming
    ├── GgufError                the file is no GGUF that an engine can load
    ├── StoreError               the disk or the store
    │   ├── DiskFullError
    │   ├── OccupiedError        another file has the name already
    │   └── ReadOnlyError
    ├── ImageError               an image of weights does not hold what the plan says
    ├── LeaseError               another writer holds the store, or took it from us
    ├── PlanError                weights.json asks for what cannot be
    └── WaitError                `--wait` is over and the store is not complete

Each carries `reason` (what, where) and `remedy` (what to do); together they are the termination message.
"""

from typing import ClassVar


class FetchError(Exception):
    """Base of all; `str()` is one line."""

    lasting: ClassVar[bool] = False
    """Would another try, with nothing changed by anybody, only meet it again?"""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = _line(reason), _line(remedy)
        super().__init__(f"{self.reason}. {self.remedy}")

    def __str__(self) -> str:
        return f"{self.reason}. {self.remedy}"

    def about(self, what: str) -> None:
        """Put what was wanted before the reason, as in `model tiny, file tiny.gguf`."""
        self.reason = f"{_line(what)}: {self.reason}"


def _line(text: str) -> str:
    # Some of it is a hub's: no control character of it reaches a terminal.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class HubError(FetchError):
    """The hub said no, or something that cannot be trusted."""

    lasting = True


class NotFoundError(HubError):
    """404."""


class DeniedError(HubError):
    """401 or 403."""


class RevisionError(HubError):
    """The hub answers for another commit."""


class RedirectError(HubError):
    """A redirect that is not followed."""


class ContentError(HubError):
    """Size or hash differ from the plan."""


class ChunkError(HubError):
    """A registry that takes no blob in parts; whoever pushes goes on with the whole."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "Blobs are sent as a whole then.")


class TransientError(HubError):
    """May go away by itself. `wait` is what the hub asked for, in seconds."""

    lasting = False

    def __init__(
        self, reason: str, remedy: str = "Start again; what is here is kept and resumed.", wait: float = 0
    ) -> None:
        self.wait = wait
        super().__init__(reason, remedy)

    def after(self, held: int) -> HubError:
        """The error with which to give up; `held` bytes of the file are here."""
        del held
        return self


class BusyError(TransientError):
    """The host asks for fewer questions."""


class StallError(TransientError):
    """Bytes stopped coming."""


class GgufError(FetchError):
    """Not a GGUF file that an engine can load."""

    lasting = True

    def __init__(self, reason: str, remedy: str = "Choose another file of the repository, or report it there.") -> None:
        super().__init__(reason, remedy)


class StoreError(FetchError):
    """The disk or the store."""


class DiskFullError(StoreError):
    """Not enough space."""

    lasting = True


class OccupiedError(StoreError):
    """Another file has the name already."""

    lasting = True


class ReadOnlyError(StoreError):
    """The store cannot be written."""

    lasting = True


class ImageError(FetchError):
    """An image of weights is not that of the plan."""

    lasting = True


class LeaseError(FetchError):
    """Another writer."""


class PlanError(FetchError):
    """weights.json asks for what cannot be."""

    lasting = True


class WaitError(FetchError):
    """Waited in vain."""
