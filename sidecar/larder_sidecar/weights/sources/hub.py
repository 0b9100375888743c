"""A hub that speaks Hugging Face's protocol: metadata by HEAD on a file's resolve URL, and its bytes.

The metadata is in the first answer (X-Repo-Commit, X-Linked-Etag, X-Linked-Size), which for large files is a redirect
to a CDN; so redirects to another host are followed for bytes and never for metadata.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import urllib3

from ...config.weights import FIRST_PULL, WeightsFile
from ..client.address import is_elsewhere, redact_url, require_address, resolve_redirect
from ..client.auth import HubAuth
from ..client.client import Client, Follow, follow_anywhere, follow_within_host
from ..client.failures import LostError
from ..client.headers import compression, parse_size
from ..client.refusal import REDIRECTS, read_refusal, reject_web_page
from ..errors import DeniedError, HubError, NotFoundError, RedirectError, RevisionError, StallError
from .source import CONTENT, FileMetadata

_OF_ANY_QUESTION = {407, 408, 425, 429, 503}
"""Refusals that do not depend on the method HEAD."""
_NAME = re.compile(r"(?![0-9a-fA-F]{7,64}\Z)[\w./-]{1,255}", re.ASCII)
"""Names of revisions that are no commits."""


@dataclass(frozen=True)
class HubFile(FileMetadata):
    """The hub's metadata of a file at a commit. `sha256` is None if the file is not in LFS."""

    commit: str


class Hub:
    """A hub. `token` goes to the host of a file's own URL, and to no host that it redirects to.

    `setting` names the option or the setting that holds the token.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        setting: str = "--token-file or HF_TOKEN",
        stall_seconds: float = 30.0,
    ) -> None:
        self._token, self._setting = token, setting
        self.client = Client(stall_seconds=stall_seconds, head_seconds=2 * stall_seconds)
        self._places: dict[str, str] = {}
        """Signed URL at another host that sent a file's bytes, by the file's URL."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def metadata(self, file: WeightsFile) -> FileMetadata:
        """Return hash and size of a file at its pinned revision. Raises HubError, RevisionError among them.

        If the plan knows the sha256, a refusal or an incomplete answer is no error: the request for the bytes decides.
        """
        if file.sha256 == FIRST_PULL:
            found = self.look_up(file)
        else:
            try:
                found = self._read_metadata("HEAD", file)
            except (_HeadError, RedirectError):
                return FileMetadata(sha256=None, bytes=None)
        # With a known sha256, the name of a branch or tag says nothing about the commit.
        is_name = file.sha256 != FIRST_PULL and _NAME.fullmatch(found.commit)
        if found.commit.lower() not in {"", file.revision} and not is_name:
            raise RevisionError(
                f"{redact_url(file.url)}: the hub has commit {found.commit[:64]}, the plan pins {file.revision}",
                "Check what changed, and pin that commit in the catalog entry.",
            )
        return found

    def look_up(self, file: WeightsFile) -> HubFile:
        """Return commit, hash and size of a file, at the commit that its URL means now. Raises HubError.

        Only the commit identifies the file, so a hub that names none is refused.
        """
        try:
            found = self._read_metadata("HEAD", file)
        except (_HeadError, LostError, StallError):
            found = self._read_metadata("GET", file)
        if not found.commit:
            raise HubError(
                f"{redact_url(file.url)} answers without X-Repo-Commit, as no hub does but some repository managers",
                "Check the endpoint in the settings, or write the file's revision and sha256, or its URL as `https`, "
                "into the catalog entry.",
            )
        return found if found.bytes else replace(found, bytes=self._read_total(file))

    def _read_total(self, file: WeightsFile) -> int | None:
        """Return the size from the host that has the bytes, if it states one. Raises HubError."""
        with self._ask("GET", file, {"Range": "bytes=0-0"}) as response:
            return _content_size(response)

    def _read_metadata(self, method: str, file: WeightsFile) -> HubFile:
        """Read the metadata of the first answer; the commit is empty if it names none. Raises HubError."""
        asked = {"Range": "bytes=0-0"} if method == "GET" else {}
        with self._ask(method, file, asked, follow=follow_within_host) as response:
            headers = response.headers
            if response.status not in {200, 206, *REDIRECTS}:
                error = self._refusal(response, file)
                unexplained = response.status not in _OF_ANY_QUESTION and "X-Error-Code" not in headers
                raise _HeadError(error) if method == "HEAD" and unexplained else error
            commit = headers.get("X-Repo-Commit", "").strip()
            if not commit and response.status in REDIRECTS:
                if not (location := headers.get("Location", "").strip()):
                    raise self._refusal(response, file)
                elsewhere = redact_url(resolve_redirect(require_address(file.url), location).url)
                raise RedirectError(
                    f"{redact_url(file.url)} redirects to {elsewhere} without metadata of the file",
                    "Check the network for a login page or a proxy, and the endpoint in the settings.",
                )
            etag = headers.get("X-Linked-Etag", "").strip().removeprefix("W/").strip('"').lower()
            return HubFile(
                commit=commit,
                sha256=etag if re.fullmatch(r"[0-9a-f]{64}", etag) else None,
                bytes=parse_size(headers.get("X-Linked-Size", "")) or (_content_size(response) if commit else None),
            )

    @contextlib.contextmanager
    def content(self, file: WeightsFile, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """Yield the answer (200, 206 or 416) to a GET with `headers`. Raises HubError for every other one.

        Hubs count requests: if one has redirected to another host, the next piece is requested there, until that host
        refuses or fails.
        """
        with self._forget_on_error(file):
            if place := self._places.get(file.url):
                with self.client.ask("GET", place, headers, sender=require_address(file.url)) as response:
                    if response.status in CONTENT:
                        yield response
                        return
            self._places.pop(file.url, None)
            with self._ask("GET", file, headers) as response:
                if response.status not in CONTENT:
                    raise self._refusal(response, file)
                reject_web_page(response, file)
                if is_elsewhere(require_address(file.url), require_address(response.url or file.url)):
                    self._places[file.url] = response.url or file.url
                yield response

    @contextlib.contextmanager
    def _forget_on_error(self, file: WeightsFile) -> Iterator[None]:
        """Forget the place of a file's bytes if the block fails."""
        try:
            yield
        except HubError:
            self._places.pop(file.url, None)
            raise

    def _ask(
        self, method: str, file: WeightsFile, headers: Mapping[str, str], follow: Follow = follow_anywhere
    ) -> contextlib.AbstractContextManager[urllib3.BaseHTTPResponse]:
        auth = HubAuth(require_address(file.url), token=self._token)
        return self.client.ask(method, file.url, headers, auth=auth, follow=follow)

    def _refusal(self, response: urllib3.BaseHTTPResponse, file: WeightsFile) -> HubError:
        """Return the error for a status that is not content. Codes: X-Error-Code of the hub's API."""
        it = read_refusal(response, file.url, "the hub", hide=[self._token or ""])
        code = it.headers.get("X-Error-Code", "").lower()
        known = {
            "gatedrepo": (
                DeniedError,
                "the repository is gated",
                self._gated_remedy(file),
            ),
            "disabledrepo": (DeniedError, "the hub has disabled the repository", "Choose another repository."),
            "reponotfound": (NotFoundError, "there is no such repository", "Check `hub.repo` of the catalog entry."),
            "revisionnotfound": (
                NotFoundError,
                f"the repository has no revision {file.revision}",
                "Check `hub.revision` of the catalog entry.",
            ),
            "entrynotfound": (
                NotFoundError,
                f"the repository has no file {file.path}",
                "Check `hub.files` of the catalog entry; names are case-sensitive.",
            ),
        }
        kind, problem, remedy = known.get(code, (HubError, "", ""))
        # The hub calls a repository missing with 401 too, if the request has no token that may read it.
        if not it.general_error() and (kind is DeniedError or (kind is NotFoundError and it.status == 404)):
            return kind(f"{redact_url(file.url)}: {problem} ({it.summary})", remedy)
        return it.error(self._denied_remedy(it.status), "Check repository, revision and file of the catalog entry.")

    def _gated_remedy(self, file: WeightsFile) -> str:
        page = redact_url(file.url).partition("/resolve/")[0]
        if self._token:
            return f"Accept its terms at {page} with the account of the token of {self._setting}."
        return f"Accept its terms at {page} and pass a token of that account with {self._setting}."

    def _denied_remedy(self, status: int) -> str:
        if not self._token:
            return f"Check the repository's name, or pass a token that may read it with {self._setting}."
        if status == 401:
            return f"Check the token of {self._setting}: it may be expired, or unknown to this hub."
        return (
            f"Give the token of {self._setting} read access to the repository: a fine-grained token needs a right "
            "of its own for gated and private repositories."
        )


class _HeadError(HubError):
    """A HEAD that was refused without the hub's own code: a GET may be answered."""

    def __init__(self, error: HubError) -> None:
        super().__init__(error.reason, error.remedy)


def _content_size(response: urllib3.BaseHTTPResponse) -> int | None:
    """Return the size of a file that the hub sends itself; None if it is unknown."""
    if compression(response):
        return None
    if response.status == 206:
        return parse_size(response.headers.get("Content-Range", "").rpartition("/")[2])
    return parse_size(response.headers.get("Content-Length", "")) or None if response.status == 200 else None
