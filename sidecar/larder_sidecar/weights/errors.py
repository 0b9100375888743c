"""Errors of filling a store and of publishing an image.

    FetchError
    ├── HubError                 the hub refuses, or its answer cannot be trusted
    │   ├── NotFoundError        404: repository, revision or file
    │   ├── DeniedError          401, 403: private or gated, token missing or not good enough
    │   ├── RevisionError        another commit than the plan pins
    │   ├── RedirectError        a redirect that is not followed
    │   ├── ContentError         size or hash differ from the plan
    │   ├── ChunkError           a registry takes no blob in parts
    │   └── TransientError       worth another attempt: connection lost, 5xx, 429
    │       ├── BusyError        429, 503: the host is overloaded
    │       └── StallError       bytes stopped coming
    ├── GgufError                the file is not a GGUF that an engine can load
    ├── StoreError               the disk or the store
    │   ├── DiskFullError
    │   ├── OccupiedError        another file has the name
    │   └── ReadOnlyError
    ├── ImageError               an image of weights differs from the plan
    ├── LeaseError               another writer holds the store, or has taken it over
    ├── PlanError                weights.json or an option is invalid
    └── WaitError                the time of `--wait` is over, the store is incomplete

Each has a `reason` (what, where) and a `remedy` (what to do); together they are the termination message.
"""

from typing import ClassVar


class FetchError(Exception):
    """Base class; `str()` is one line."""

    permanent: ClassVar[bool] = False
    """True if another try fails the same way until the settings, the source or the disk change."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason, self.remedy = _line(reason), _line(remedy)
        super().__init__(f"{self.reason}. {self.remedy}")

    def __str__(self) -> str:
        return f"{self.reason}. {self.remedy}"

    def add_subject(self, subject: str) -> None:
        """Prefix the reason with a subject, as in `model tiny, file tiny.gguf`."""
        self.reason = f"{_line(subject)}: {self.reason}"


def _line(text: str) -> str:
    # Some of it is a hub's: no control character of it reaches a terminal.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class HubError(FetchError):
    """The hub refuses, or its answer cannot be trusted."""

    permanent = True


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
    """A registry that takes no blob in parts; the push goes on with the whole blob."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, "Larder sends blobs as a whole then.")


class TransientError(HubError):
    """An error that may go away by itself. `wait` is the pause that the hub asks for, in seconds."""

    permanent = False

    def __init__(self, reason: str, remedy: str = "Start again: the run resumes.", wait: float = 0) -> None:
        self.wait = wait
        super().__init__(reason, remedy)

    def after(self, held: int) -> HubError:
        """Return the error to give up with; `held` bytes of the file are here."""
        del held
        return self


class BusyError(TransientError):
    """A host that asks for fewer requests."""


class StallError(TransientError):
    """Bytes stopped coming."""


class GgufError(FetchError):
    """The file is not a GGUF that an engine can load."""

    permanent = True

    def __init__(self, reason: str, remedy: str = "Choose another file of the repository, or report it there.") -> None:
        super().__init__(reason, remedy)


class StoreError(FetchError):
    """The disk or the store."""


class DiskFullError(StoreError):
    """The disk has too little space."""

    permanent = True


class OccupiedError(StoreError):
    """Another file has the name already."""

    permanent = True


class ReadOnlyError(StoreError):
    """The store cannot be written."""

    permanent = True


class ImageError(FetchError):
    """An image of weights differs from the plan."""

    permanent = True


class LeaseError(FetchError):
    """Another writer holds the store, or has taken it over."""


class PlanError(FetchError):
    """weights.json or an option is invalid."""

    permanent = True


class WaitError(FetchError):
    """The time of `--wait` is over."""
