"""The API of a registry (OCI distribution 1.1): lookup, upload and download of blobs and manifests."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import urllib3

from ..client.address import require_address
from ..client.failures import LostError
from ..client.headers import parse_size
from ..client.login import Login
from ..client.refusal import REDIRECTS, TRANSIENT, read_start
from ..errors import ChunkError, ContentError, DeniedError, HubError, StallError, TransientError
from ..oci import MAX_MANIFEST, registry_name
from .image import Document
from .layer import Descriptor
from .registry_http import Answer, RegistryHttp

_READ = 1 << 20
_DONE = {200, 201, 202, 204}
"""Good statuses of every request: registries differ in their choice (GHCR, ECR, Nexus)."""
_THERE = {200, 206, *REDIRECTS}
_LOST = {404, 410}
_OF_ANY_REQUEST = {401, 407, 413, *TRANSIENT}
"""Refusals that do not mean that parts are unsupported."""
_NOT_YET = {"BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"}
_STREAM = {"Content-Type": "application/octet-stream"}
_OTHER = "Start again. If it fails again, the registry's copy is damaged: push the base image again."


class PartError(TransientError):
    """A refusal of the next part of a blob, or of all parts together, after some were taken."""


class Registry:
    """A registry at `host[:port]`; `login` is sent to no other host, and never in clear text."""

    def __init__(
        self, host: str, *, plain_http: bool = False, login: Login | None = None, stall_seconds: float = 300.0
    ) -> None:
        self.host = registry_name(host)
        self.min_part = 0
        """Minimum bytes of every part of a blob but the last, if the registry has stated it."""
        self._http = RegistryHttp(self.host, login or Login(), plain_http=plain_http, stall_seconds=stall_seconds)

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def has(self, repository: str, digest: str) -> bool:
        """Return True if the registry has a blob. Raises HubError if it is too busy to answer."""
        url = f"{self._http.base}{repository}/blobs/{digest}"
        try:
            answer = self._http.ask("HEAD", url, repository)
        except (LostError, StallError):
            answer = None
        if answer is None or answer.status not in {*_THERE, 401, *_LOST, 429, 503}:
            answer = self._http.ask("GET", url, repository, {"Range": "bytes=0-0"})
        if answer.status in TRANSIENT:
            raise self._http.refusal(answer, repository)
        # The upload decides after any other refusal: the right to push may lack the right to read.
        return answer.status in _THERE

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Mount a blob from another repository of this registry; return True if that was allowed."""
        query = f"?mount={digest}&from={quote(source)}"
        try:
            answer = self._http.ask("POST", f"{self._http.base}{repository}/blobs/uploads/{query}", repository)
        except HubError:
            return False
        return answer.status == 201 and "/uploads/" not in answer.headers.get("Location", "")

    def start(self, repository: str) -> str:
        """Begin an upload, and return the URL for the bytes of the blob. Raises HubError."""
        answer = self._http.ask("POST", f"{self._http.base}{repository}/blobs/uploads/", repository)
        if answer.status not in _DONE:
            raise self._http.refusal(answer, repository)
        return self._next_url(answer)

    def resume_point(self, repository: str, location: str) -> tuple[str, int] | None:
        """Return the URL at which an upload goes on, and the bytes that it has; None for an unknown upload."""
        if not self._http.accepts(location):
            return None
        answer = self._http.ask("GET", location, repository)
        if answer.status in TRANSIENT:
            raise self._http.refusal(answer, repository)
        have = _uploaded_bytes(answer)
        return None if answer.status not in _DONE or have is None else (self._next_url(answer), have)

    def append(self, repository: str, location: str, start: int, body: Iterable[bytes], size: int) -> tuple[str, bool]:
        """Send `size` bytes after the first `start`; return the next URL, and True if the registry confirms them.

        A registry that accepts a part and states another Range is trusted to have it: many repeat an older Range. The
        digest decides in the end. Raises ChunkError if the registry takes no parts, PartError if it refuses this one,
        HubError otherwise.
        """
        span = {"Content-Length": str(size), "Content-Range": f"{start}-{start + size - 1}"}
        answer = self._http.ask("PATCH", location, repository, _STREAM | span, body)
        if answer.status in _DONE:
            return self._next_url(answer), _uploaded_bytes(answer) in {None, start + size}
        error = self._http.refusal(answer, repository)
        if answer.status in _OF_ANY_REQUEST:
            raise error
        raise ChunkError(error.reason) if start == 0 else PartError(error.reason)

    def finish(
        self, repository: str, location: str, digest: str, body: Iterable[bytes] | None = None, size: int = 0
    ) -> None:
        """Complete an upload, for which the registry checks the digest; `body` is the blob, None if it went in parts.

        Raises ContentError for another digest, PartError if the parts are refused together, HubError otherwise.
        """
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        answer = self._http.ask("PUT", url, repository, {**_STREAM, "Content-Length": str(size)}, body or b"")
        other = answer.status == 400 and error_code(answer.body) in {"DIGEST_INVALID", "SIZE_INVALID"}
        if other or (answer.status in _DONE and _is_other(answer, digest)):
            raise ContentError(
                f"{self.host}/{repository}: the registry received other bytes than {digest[:19]}… (DIGEST_INVALID)",
                "Repair the store with larder-sidecar fetch --verify and start again: bytes were changed.",
            )
        if answer.status not in _DONE:
            error = self._http.refusal(answer, repository)
            not_about_parts = body is not None or answer.status in _OF_ANY_REQUEST
            raise error if not_about_parts else PartError(error.reason, error.remedy)

    def push_manifest(self, repository: str, reference: str, manifest: Document) -> None:
        """Store a manifest or an index under a tag or its digest. Raises HubError."""
        headers = {"Content-Type": manifest.descriptor.media_type}
        url = f"{self._http.base}{repository}/manifests/{reference}"
        answer = self._http.ask("PUT", url, repository, headers, manifest.content)
        if answer.status not in _DONE:
            error = self._http.refusal(answer, repository)
            # Some registries find a blob only a moment after its upload.
            raise TransientError(error.reason) if error_code(answer.body) in _NOT_YET else error
        if answer.status != 201 and "Docker-Content-Digest" not in answer.headers:
            self._check_kept(repository, manifest)
        if _is_other(answer, manifest.descriptor.digest):
            raise ContentError(
                f"{self.host}/{repository}: the registry stored other bytes than {manifest.descriptor.digest[:19]}…",
                "Push without the proxy in front of the registry: it rewrites manifests.",
            )

    def _check_kept(self, repository: str, manifest: Document) -> None:
        """Read a manifest back: a web page that answers 200 to every request stores nothing. Raises HubError."""
        try:
            self.manifest(repository, manifest.descriptor.digest, [manifest.descriptor.media_type])
        except (DeniedError, TransientError):
            pass  # the right to push may lack the right to read
        except HubError:
            raise ContentError(
                f"{self.host}/{repository}: the registry accepted a manifest and does not have it",
                "Check the registry's name: a web page or a proxy may answer in its place.",
            ) from None

    def manifest(self, repository: str, digest: str, accept: Iterable[str]) -> bytes:
        """Return a manifest or an index after a check of its digest. Raises HubError."""
        url = f"{self._http.base}{repository}/manifests/{digest}"
        with self._http.open(url, repository, {"Accept": ", ".join(accept)}) as answer:
            if answer.status != 200:
                raise self._refusal(answer, repository)
            content = answer.read(MAX_MANIFEST)
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise ContentError(f"{self.host}/{repository}: a manifest does not have its digest {digest[:19]}…", _OTHER)
        return content

    def blob(self, repository: str, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes of a blob from `start`; if all are read, the digest is checked.

        Raises HubError.
        """
        url, digest, have = f"{self._http.base}{repository}/blobs/{blob.digest}", hashlib.sha256(), start
        with contextlib.ExitStack() as stack:
            answer = stack.enter_context(
                self._http.open(url, repository, {"Range": f"bytes={start}-"} if start else {})
            )
            if start and answer.status not in {200, 206, 401, 403, *_LOST, *TRANSIENT}:
                stack.close()  # it refuses the range: the first bytes are read again
                answer = stack.enter_context(self._http.open(url, repository, {}))
            if answer.status not in {200, 206}:
                raise self._refusal(answer, repository)
            skipped = start if answer.status == 200 else 0  # it knows no ranges
            for chunk in answer.stream(_READ):
                piece, skipped = chunk[skipped:], max(0, skipped - len(chunk))
                have += len(piece)
                if have > blob.size:
                    break  # some callers keep blobs in memory
                digest.update(piece)
                yield piece
        if have != blob.size or (start == 0 and f"sha256:{digest.hexdigest()}" != blob.digest):
            raise ContentError(
                f"{self.host}/{repository}: {blob.digest[:19]}… has {have} of {blob.size} bytes, or other content",
                _OTHER,
            )

    def _refusal(self, answer: urllib3.BaseHTTPResponse, repository: str) -> HubError:
        beginning = Answer(answer.url or self._http.base, answer.status, answer.headers, read_start(answer))
        return self._http.refusal(beginning, repository, reading=True)

    def _next_url(self, answer: Answer) -> str:
        self.min_part = parse_size(answer.headers.get("OCI-Chunk-Min-Length", "")) or self.min_part
        return self._http.next_address(require_address(answer.asked), answer.headers).url


def _uploaded_bytes(answer: Answer) -> int | None:
    """Return the bytes that an upload has, by the Range `0-<last>` of an answer; `0-0` is none, or one."""
    last = parse_size(answer.headers.get("Range", "").strip().removeprefix("bytes=").removeprefix("0-"))
    return last and last + 1


def _is_other(answer: Answer, digest: str) -> bool:
    """Return True if the registry names another sha256 than `digest` for the stored content."""
    named = answer.headers.get("Docker-Content-Digest", "").strip().lower()
    return re.fullmatch(r"sha256:[0-9a-f]{64}", named) is not None and named != digest


def error_code(body: bytes) -> str:
    """Return the error code in a registry's answer; empty if there is none."""
    try:
        code = str(json.loads(body)["errors"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return code if re.fullmatch(r"[A-Z_]{1,64}", code) else ""
