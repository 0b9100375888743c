"""Asks a hub that speaks Hugging Face's protocol: what a file is (HEAD on its resolve URL), and for its bytes.

The metadata stands on the first answer (X-Repo-Commit, X-Linked-Etag, X-Linked-Size), which for large files is a
redirect to a CDN; so redirects to another host are followed for bytes and never for metadata.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import urllib3

from ..config.weights import WeightsFile
from .address import named, redirected, shown
from .errors import DeniedError, HubError, NotFoundError, RedirectError, RevisionError
from .source import FileMetadata
from .web import REDIRECTS, Web, refused, whole


@dataclass(frozen=True)
class HubFile(FileMetadata):
    """What the hub says about a file at a commit. `sha256` is None where the file is not in LFS."""

    commit: str


class Hub:
    """A hub. `token` goes to the host of a file's own URL and to nobody it redirects to."""

    def __init__(self, token: str | None = None, *, stall_seconds: float = 30.0) -> None:
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        self._web = Web(stall_seconds=stall_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._web.__exit__()

    def metadata(self, file: WeightsFile) -> HubFile:
        """Commit, hash and size of a file at its pinned revision. Raises HubError, RevisionError among them."""
        found = self.look_up(file)
        if found.commit != file.revision:
            raise RevisionError(
                f"{shown(file.url)} is at commit {found.commit[:64]}, the plan pins {file.revision}",
                "Pin that commit in the catalog entry after checking what changed.",
            )
        return found

    def look_up(self, file: WeightsFile) -> HubFile:
        """Commit, hash and size of a file, whichever commit its URL means now. Raises HubError."""
        with self._ask("HEAD", file, {}, follow_to_others=False) as response:
            if response.status not in {200, *REDIRECTS}:
                raise refusal(response.status, response.headers, file)
            commit = response.headers.get("X-Repo-Commit")
            if commit is None and response.status in REDIRECTS:
                elsewhere = shown(redirected(named(file.url), response.headers.get("Location", "")).url)
                raise RedirectError(
                    f"{shown(file.url)} redirects to {elsewhere} without saying what the file is",
                    "A login page or proxy may stand between: check the network, or the endpoint in the settings.",
                )
            if commit is None:
                raise HubError(
                    f"{shown(file.url)} answers without X-Repo-Commit, so it is no hub that we know",
                    "Check the endpoint in the settings.",
                )
            etag = response.headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"').lower()
            size = response.headers.get("X-Linked-Size", "")
            return HubFile(
                commit=commit,
                sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
                bytes=whole(size),
            )

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer (200, 206 or 416) to a GET with `headers`. Raises HubError for every other one."""
        with self._ask("GET", file, headers, follow_to_others=True) as response:
            if response.status not in {200, 206, 416}:
                raise refusal(response.status, response.headers, file)
            yield response

    def _ask(
        self, method: str, file: WeightsFile, headers: Mapping[str, str], *, follow_to_others: bool
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        return self._web.ask(
            method, file.url, headers, follow_to_others=follow_to_others, credentials=self._authorization
        )


def refusal(status: int, headers: Mapping[str, str], file: WeightsFile) -> HubError:
    """The error for a status that is not content. Codes: X-Error-Code of the hub's API."""
    code, where = headers.get("X-Error-Code", ""), shown(file.url)
    if status == 403 and code == "GatedRepo":
        return DeniedError(
            f"{where}: the repository is gated (403)",
            "Accept its terms on the hub's page and pass a token of that account with --token-file or HF_TOKEN.",
        )
    if status in {401, 403}:
        return DeniedError(
            f"{where}: access denied ({status}); the repository is private or does not exist",
            "Check the repository's name, or pass a token that may read it with --token-file or HF_TOKEN.",
        )
    missing = {
        "RepoNotFound": ("there is no such repository", "Check `hub.repo` of the catalog entry."),
        "RevisionNotFound": (f"the repository has no revision {file.revision}", "Check `hub.revision`."),
        "EntryNotFound": (f"the repository has no file {file.path}", "Check `hub.files`; names are case-sensitive."),
    }
    if status == 404:
        reason, remedy = missing.get(code, ("not found", "Check repository, revision and file of the catalog entry."))
        return NotFoundError(f"{where}: {reason} (404)", remedy)
    return refused(status, headers, where, "the hub")
