"""A registry by its HTTP API (OCI distribution 1.1): what it has, and how blobs and manifests get there."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from urllib.parse import quote

import urllib3

from .errors import ChunkError, ContentError, TransientError
from .image import MAX_MANIFEST, Document
from .layer import Descriptor
from .login import Login
from .reference import registry_name
from .registry_http import TRANSIENT, RegistryHttp, code_in
from .web import MAX_REDIRECTS, explained, whole

_READ = 1 << 20
_THERE = {200, 307, 308}
_REDIRECTS = {301, 302, 303, 307, 308}
_NO_CHUNKS = {404, 405, 416, 501}
_STREAM = {"Content-Type": "application/octet-stream"}
_OTHER = "Ask for the image again; if it stays so, the registry's copy is damaged: push the base anew."


class Registry:
    """One registry at `host[:port]`; `login` is sent nowhere else, and never in clear text."""

    def __init__(
        self, host: str, *, plain_http: bool = False, login: Login | None = None, stall_seconds: float = 300.0
    ) -> None:
        self.host = registry_name(host)
        self._http = RegistryHttp(self.host, login or Login(), plain_http=plain_http, stall_seconds=stall_seconds)

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob is there. Raises HubError."""
        answer = self._http.ask("HEAD", f"{self._http.base}{repository}/blobs/{digest}", repository)
        if answer.status not in {*_THERE, 404}:
            raise self._http.refusal(answer, repository)
        return answer.status in _THERE

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Take over a blob from another repository of this registry, if it lets us. Raises HubError."""
        query = f"?mount={digest}&from={quote(source)}"
        answer = self._http.ask("POST", f"{self._http.base}{repository}/blobs/uploads/{query}", repository)
        if answer.status in TRANSIENT:
            raise self._http.refusal(answer, repository)
        return answer.status == 201

    def start(self, repository: str) -> str:
        """Where to send the bytes of a blob. Raises HubError."""
        url = f"{self._http.base}{repository}/blobs/uploads/"
        answer = self._http.ask("POST", url, repository)
        if answer.status != 202:
            raise self._http.refusal(answer, repository)
        return self._http.location(answer, url)

    def arrived(self, repository: str, location: str) -> tuple[str, int] | None:
        """Where an upload goes on, and how many bytes it has; None where the registry knows nothing of it any more."""
        if not self._http.names(location):
            return None
        answer = self._http.ask("GET", location, repository)
        if answer.status in TRANSIENT:
            raise self._http.refusal(answer, repository)
        if answer.status != 204:
            return None
        return self._http.location(answer, location), _have(answer) or 0

    def append(self, repository: str, location: str, start: int, body: Iterable[bytes], size: int) -> tuple[str, int]:
        """Send `size` bytes that follow the `start` which are there: where it goes on, and how many are there then.

        Raises ChunkError where the registry takes blobs as a whole only, HubError otherwise.
        """
        span = {"Content-Length": str(size), "Content-Range": f"{start}-{start + size - 1}"}
        answer = self._http.ask("PATCH", location, repository, _STREAM | span, body)
        if answer.status in _NO_CHUNKS:
            where = f"{self.host}/{repository}: the registry answers {answer.status} to a part of a blob"
            raise ChunkError(where) if start == 0 else TransientError(where)
        if answer.status not in {201, 202, 204}:
            raise self._http.refusal(answer, repository)
        there = _have(answer)  # it has to say so, but not all do
        return self._http.location(answer, location), start + size if there is None else there

    def finish(self, repository: str, location: str, digest: str, body: Iterable[bytes] = (), size: int = 0) -> None:
        """Send what is missing of a blob, and have the registry hold it against its digest. Raises HubError."""
        url = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        answer = self._http.ask("PUT", url, repository, {**_STREAM, "Content-Length": str(size)}, body or b"")
        if answer.status == 400 and code_in(answer.data) in {"DIGEST_INVALID", "SIZE_INVALID"}:
            raise ContentError(
                f"{self.host}/{repository}: what arrived is not {digest[:19]}… (DIGEST_INVALID)",
                "The source changed, or the way damages it. Mend the store, larder-sidecar fetch --verify, and start "
                "again.",
            )
        if answer.status != 201:
            raise self._http.refusal(answer, repository)

    def push_manifest(self, repository: str, reference: str, manifest: Document) -> None:
        """Store a manifest or an index under a tag or its digest. Raises HubError."""
        headers = {"Content-Type": manifest.descriptor.media_type}
        url = f"{self._http.base}{repository}/manifests/{reference}"
        answer = self._http.ask("PUT", url, repository, headers, manifest.content)
        if answer.status != 201:
            raise self._http.refusal(answer, repository)

    def manifest(self, repository: str, digest: str, accept: Iterable[str]) -> bytes:
        """A manifest or an index, held against its digest. Raises HubError."""
        url = f"{self._http.base}{repository}/manifests/{digest}"
        answer = self._http.ask("GET", url, repository, {"Accept": ", ".join(accept)}, stream=True)
        if answer.status != 200:
            raise self._http.refusal(answer, repository, reading=True)
        with explained(url):
            content = answer.read(MAX_MANIFEST)
            answer.release_conn()
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise ContentError(f"{self.host}/{repository}: a manifest is not its digest {digest[:19]}…", _OTHER)
        return content

    def blob(self, repository: str, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """The bytes of a blob from `start`; read from the first to the last it is held against its digest.

        Raises HubError.
        """
        url, digest, have = f"{self._http.base}{repository}/blobs/{blob.digest}", hashlib.sha256(), start
        headers = {"Range": f"bytes={start}-"} if start else {}
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._http.ask("GET", url, repository, headers, stream=True)
            if answer.status not in _REDIRECTS:
                break
            answer.close()
            url = self._http.location(answer, url)
        if answer.status not in {200, 206}:
            raise self._http.refusal(answer, repository, reading=True)
        skipped = start if answer.status == 200 else 0  # it knows no ranges
        with contextlib.closing(answer), explained(url):
            for chunk in answer.stream(_READ):
                piece, skipped = chunk[skipped:], max(0, skipped - len(chunk))
                have += len(piece)
                if have > blob.size:
                    break  # whoever reads keeps some blobs in memory
                digest.update(piece)
                yield piece
        if have != blob.size or (start == 0 and f"sha256:{digest.hexdigest()}" != blob.digest):
            raise ContentError(
                f"{self.host}/{repository}: {blob.digest[:19]}… has {have} bytes of {blob.size}, or others", _OTHER
            )


def _have(answer: urllib3.BaseHTTPResponse) -> int | None:
    """Bytes that an upload has, by the Range of an answer: `0-<last>`, and `0-0` for none as for one."""
    last = whole(answer.headers.get("Range", "").removeprefix("bytes=").removeprefix("0-"))
    return last and last + 1
