"""Registries answer as they do, not as the specification has it; what counts is the digest in the end."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from socket import SHUT_RDWR
from urllib.parse import parse_qs, urlsplit

import pytest
from larder_sidecar.weights.errors import (
    ContentError,
    DeniedError,
    HubError,
    NotFoundError,
    RedirectError,
    TransientError,
)
from larder_sidecar.weights.oci import MANIFEST
from larder_sidecar.weights.progress import Reporter
from larder_sidecar.weights.publish.image import make_document
from larder_sidecar.weights.publish.layer import LAYER, Descriptor
from larder_sidecar.weights.publish.registry import Registry
from larder_sidecar.weights.publish.upload import Uploads
from larder_sidecar.weights.publish.upload_state import UploadStates

from tests.sidecar.weights.kitchen import PATIENCE
from tests.sidecar.weights.scripted import Headers, Request, Scripted

BLOB = bytes(range(256)) * 4096 * 4
PART = 1 << 20
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
Range = Callable[[int, int, int], str | None]


@dataclass
class Kind:
    """The answers of a kind of registry. A status of 0 drops the connection."""

    post: int = 202
    patch: int = 202
    put: int = 201
    head: int | None = None
    get: int | None = None
    upload: int = 204
    mount: int = 202
    no_parts: int = 0
    no_parts_from: int = 0
    """Byte from which parts are refused."""
    span: Range = lambda start, size, whole: f"0-{whole - 1}"
    """Range of an answer to a part, from its start and size and what is there then."""
    location: str = "relative"
    digest: Callable[[str], str | None] = str
    forgets: int = 0
    """Parts that are taken and not kept."""
    least: int = 0
    told_least: str = ""
    uploads: dict[str, bytearray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def __call__(self, it: Request) -> None:
        path, query = urlsplit(it.path).path, parse_qs(urlsplit(it.path).query)
        if it.command == "POST":
            self._post(it, path, query)
        elif it.command == "PATCH":
            self._patch(it, path)
        elif it.command == "PUT":
            self._put(it, path, query)
        elif "/uploads/" in path:
            upload = self.uploads.get(path)
            it.send(self.upload, b"", [("Range", f"0-{max(0, len(upload or b'') - 1)}"), ("Location", path)])
        else:
            there = path.rpartition("/")[2] in self.blobs
            wanted = self.head if it.command == "HEAD" else self.get
            it.send(wanted if wanted is not None else 200 if there else 404)

    def _post(self, it: Request, path: str, query: dict[str, list[str]]) -> None:
        if "mount" in query and self.mount != 202:
            if self.mount:
                it.send(self.mount)
            else:
                it.close_connection = True
            return
        place = f"{path}{len(self.uploads) + 1}"
        self.uploads[place] = bytearray()
        told = self._location(it, place)
        if self.told_least or self.least:
            told.append(("OCI-Chunk-Min-Length", self.told_least or str(self.least)))
        it.send(self.post, b"", told)

    def _patch(self, it: Request, path: str) -> None:
        upload, start = self.uploads[path], int(it.headers["Content-Range"].split("-")[0])
        if self.no_parts and start >= self.no_parts_from:
            it.send(self.no_parts, b'{"errors":[{"code":"UNSUPPORTED"}]}')
        elif start != len(upload):
            it.send(416, b'{"errors":[{"code":"BLOB_UPLOAD_INVALID"}]}')
        elif len(it.body) < self.least and start + len(it.body) < len(BLOB):
            it.send(400, b'{"errors":[{"code":"SIZE_INVALID"}]}')
        else:
            if self.forgets:
                self.forgets -= 1
                upload += bytes(len(it.body))
            else:
                upload += it.body
            span = self.span(start, len(it.body), len(upload))
            it.send(self.patch, b"", [*self._location(it, path), *([("Range", span)] if span else [])])

    def _put(self, it: Request, path: str, query: dict[str, list[str]]) -> None:
        content = bytes(self.uploads.get(path, b"")) + it.body
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if "digest" in query and query["digest"] != [found]:
            it.send(400, b'{"errors":[{"code":"DIGEST_INVALID"}]}')
            return
        self.blobs[found] = content
        told = self.digest(found)
        it.send(self.put, b"", [("Docker-Content-Digest", told)] if told else [])

    def _location(self, it: Request, path: str) -> Headers:
        kinds: dict[str, Headers] = {
            "relative": [("Location", path)],
            "absolute": [("Location", f"{it.server.url}{path}")],
            "with a query": [("Location", f"{path}?_state=a%2Bb&x=")],
            "of the last word": [("Location", path.rpartition("/")[2])],
            "as an id alone": [("Docker-Upload-UUID", path.rpartition("/")[2])] if it.command == "POST" else [],
            "once": [("Location", path)] if it.command == "POST" else [],
        }
        return kinds[self.location]


def push(server: Scripted, store: Path, siblings: tuple[str, ...] = ()) -> list[str]:
    """The events of a push of BLOB in parts."""
    log = io.StringIO()
    with Registry(server.url.removeprefix("http://"), plain_http=True) as registry, UploadStates(store) as sessions:
        uploads = Uploads(registry, sessions, Reporter(log), PATIENCE, PART)
        uploads.push("team/x", Descriptor(LAYER, DIGEST, len(BLOB)), lambda start: iter([BLOB[start:]]), siblings)
    return [json.loads(line)["event"] for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("location", [[], [("Location", "")]], ids=["none", "empty"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_read_that_is_redirected_without_a_location_is_refused(status: int, location: Headers) -> None:
    with Scripted(lambda it: it.send(status, b"", location)) as server:
        host = server.url.removeprefix("http://")
        with Registry(host, plain_http=True) as registry:
            reads = [
                lambda: registry.manifest("team/x", DIGEST, [MANIFEST]),
                lambda: b"".join(registry.blob("team/x", Descriptor(LAYER, DIGEST, len(BLOB)))),
            ]
            for read in reads:
                with pytest.raises(RedirectError, match=rf"{host}/team/x: .*without a Location \({status}\)"):
                    read()
        assert len(server.seen) == len(reads)


IN_PARTS: dict[str, Kind] = {
    "ECR: a Range that stands still": Kind(patch=201, upload=404, span=lambda start, size, whole: f"0-{PART - 1}"),
    "no Range": Kind(span=lambda start, size, whole: None),
    "an empty Range": Kind(span=lambda start, size, whole: "0-0"),
    "a Range with a unit": Kind(span=lambda start, size, whole: f"bytes=0-{whole - 1}"),
    "a Range that counts": Kind(span=lambda start, size, whole: f"0-{whole}"),
    "a Range of the part": Kind(span=lambda start, size, whole: f"{start}-{start + size - 1}"),
    "a Range of the one before": Kind(span=lambda start, size, whole: f"0-{max(0, start - 1)}"),
    "a Range that is nonsense": Kind(span=lambda start, size, whole: "bytes */*"),
    "a Range beyond everything": Kind(span=lambda start, size, whole: f"0-{10**17}"),
    **{f"POST {status}": Kind(post=status) for status in (200, 201, 204)},
    **{f"PATCH {status}": Kind(patch=status) for status in (200, 201, 204)},
    **{f"PUT {status}": Kind(put=status) for status in (200, 202, 204)},
    **{f"a Location {kind}": Kind(location=kind) for kind in ("absolute", "with a query", "of the last word", "once")},
    "an id in place of a Location": Kind(location="as an id alone"),
    "no digest": Kind(digest=lambda digest: None),
    "a digest in capitals": Kind(digest=str.upper),
    **{f"HEAD {status}": Kind(head=status) for status in (400, 401, 403, 404, 405, 410, 500, 501)},
    **{f"HEAD and GET {status}": Kind(head=status, get=status) for status in (403, 405, 501)},
    **{f"GET of an upload {status}": Kind(upload=status) for status in (404, 405)},
    **{f"a mount {status}": Kind(mount=status) for status in (0, 400, 403, 404, 405, 500)},
    "parts of a length": Kind(least=3 * PART // 2),
}


@pytest.mark.parametrize("kind", IN_PARTS.values(), ids=IN_PARTS.keys())
def test_a_blob_goes_in_parts_to_a_registry_that_answers_with(kind: Kind, tmp_path: Path) -> None:
    with Scripted(kind) as server:
        assert "whole" not in push(server, tmp_path, ("team/y",))
        assert sum(line.startswith("PATCH") for line in server.seen) == (3 if kind.least else 4)
    assert kind.blobs == {DIGEST: BLOB}


AS_A_WHOLE: dict[str, Kind] = {
    **{f"takes no part ({status})": Kind(no_parts=status) for status in (400, 403, 404, 405, 411, 416, 501)},
    "takes the first part alone": Kind(no_parts=416, no_parts_from=1),
    "refuses the last part": Kind(no_parts=400, no_parts_from=3 * PART, upload=404),
    "loses parts and does not say so": Kind(forgets=1, span=lambda start, size, whole: "0-0"),
    "wants one part": Kind(told_least=str(10**17)),
}


@pytest.mark.parametrize("kind", AS_A_WHOLE.values(), ids=AS_A_WHOLE.keys())
def test_a_blob_goes_as_a_whole_to_a_registry_that(kind: Kind, tmp_path: Path) -> None:
    with Scripted(kind) as server:
        push(server, tmp_path)
    assert kind.blobs == {DIGEST: BLOB}


def test_an_upload_that_a_registry_misremembers_is_begun_anew(tmp_path: Path) -> None:
    """It has more than it says: each part that follows what it says is refused."""
    kind = Kind()
    real = Kind.__call__

    def respond(it: Request) -> None:
        if it.command == "GET" and "/uploads/" in it.path:
            it.send(204, b"", [("Range", f"0-{PART - 1}")])
        elif it.command == "PATCH" and it.headers["Content-Range"].startswith(f"{2 * PART}-") and not lost:
            lost.append(it.path)
            it.close_connection = True
        else:
            real(kind, it)

    lost: list[str] = []
    with Scripted(respond) as server:
        push(server, tmp_path)
    assert kind.blobs == {DIGEST: BLOB}


@pytest.mark.parametrize("head", [405, 403, 404, 501])
def test_a_blob_that_is_there_is_found_without_head(head: int, tmp_path: Path) -> None:
    kind = Kind(head=head, blobs={DIGEST: BLOB})
    with Scripted(kind) as server:
        push(server, tmp_path)
        sent = any(line.startswith("POST") for line in server.seen)
    assert sent is (head == 404)  # which is also what it would say of one that is not there


def test_another_digest_than_the_one_that_was_sent_is_an_error(tmp_path: Path) -> None:
    with Scripted(Kind(digest=lambda _: f"sha256:{'0' * 64}")) as server, pytest.raises(ContentError):
        push(server, tmp_path)


@pytest.mark.parametrize("reads", [200, 401, 403])
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_a_manifest_is_stored_whatever_good_status_says_it(status: int, reads: int) -> None:
    wanted = make_document(MANIFEST, {})
    respond: Callable[[Request], None] = lambda it: (  # noqa: E731
        it.send(status) if it.command == "PUT" else it.send(reads, wanted.content if reads == 200 else b"")
    )
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry:
        registry.push_manifest("team/x", "tag", wanted)


def test_a_web_page_that_answers_everything_keeps_no_manifest() -> None:
    respond: Callable[[Request], None] = lambda it: it.send(200, b"<html>", [("Content-Type", "text/html")])  # noqa: E731
    refused = pytest.raises(ContentError, match="accepted a manifest and does not have it")
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry, refused:
        registry.push_manifest("team/x", "tag", make_document(MANIFEST, {}))


@pytest.mark.parametrize(("status", "code"), [(400, "MANIFEST_BLOB_UNKNOWN"), (404, "BLOB_UNKNOWN")])
def test_a_blob_that_a_registry_does_not_find_yet_may_be_found_later(status: int, code: str) -> None:
    body = json.dumps({"errors": [{"code": code}]}).encode()
    later = pytest.raises(TransientError, match=code)
    with (
        Scripted(lambda it: it.send(status, body)) as server,
        Registry(host(server), plain_http=True) as registry,
        later,
    ):
        registry.push_manifest("team/x", "tag", make_document(MANIFEST, {}))


@pytest.mark.parametrize("status", [307, 308])
def test_a_registry_may_send_a_change_on_to_another_url(tmp_path: Path, status: int) -> None:
    kind = Kind()

    def respond(it: Request) -> None:
        if it.command in {"POST", "PUT"} and "moved" not in it.path:
            it.send(status, b"", [("Location", f"{it.path}{'&' if '?' in it.path else '?'}moved=1")])
        else:
            it.path = it.path.replace("?moved=1", "").replace("&moved=1", "")
            kind(it)

    with Scripted(respond) as server:
        push(server, tmp_path)
    assert kind.blobs == {DIGEST: BLOB}


def test_a_registry_that_sends_on_for_ever_is_left() -> None:
    respond: Callable[[Request], None] = lambda it: it.send(307, b"", [("Location", it.path)])  # noqa: E731
    left = pytest.raises(RedirectError, match=r"/v2/team/x.* redirects more than 5 times\. Check the endpoint")
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry, left:
        registry.push_manifest("team/x", "tag", make_document(MANIFEST, {}))


def test_a_registry_that_hangs_up_on_head_is_asked_by_get(tmp_path: Path) -> None:
    kind = Kind(blobs={DIGEST: BLOB})

    def respond(it: Request) -> None:
        if it.command == "HEAD":
            it.close_connection = True
            it.connection.shutdown(SHUT_RDWR)
        else:
            kind(it)

    with Scripted(respond) as server:
        push(server, tmp_path)
        assert not any(line.startswith("POST") for line in server.seen)


def host(server: Scripted) -> str:
    return server.url.removeprefix("http://")


def test_a_registry_that_names_no_place_says_so() -> None:
    no_place = pytest.raises(RedirectError, match="the answer has no address for an upload")
    with Scripted(lambda it: it.send(202)) as server, Registry(host(server), plain_http=True) as registry, no_place:
        registry.start("team/x")


WORDS: dict[str, tuple[int, Headers, bytes, type[HubError], str]] = {
    "its words": (403, [], b'{"errors":[{"code":"DENIED","message":"quota"}]}', DeniedError, r"\(403: DENIED: quota\)"),
    "no words": (404, [], b"", NotFoundError, r"not found \(404\)\. Check the registry's name"),
    "of a proxy": (403, [("Via", "1.1 squid")], b"", DeniedError, "by the registry \\(403 by way of 1.1 squid"),
    "ways that we cannot": (401, [("WWW-Authenticate", "Negotiate")], b"", DeniedError, "accepts negotiate only"),
    "a body without an end": (400, [("Content-Length", str(10**15))], b"x" * 10**6, HubError, "answers 400"),
}


@pytest.mark.parametrize(("status", "headers", "body", "error", "says"), WORDS.values(), ids=WORDS.keys())
def test_a_registrys_refusal_is_told(
    status: int, headers: Headers, body: bytes, error: type[HubError], says: str
) -> None:
    respond: Callable[[Request], None] = lambda it: it.send(status, body, headers)  # noqa: E731
    refused = pytest.raises(error, match=rf"127\.0\.0\.1:\d+/team/x: .*{says}")
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry, refused:
        registry.start("team/x")


def test_a_storage_that_refuses_an_upload_is_named(tmp_path: Path) -> None:
    def respond(it: Request) -> None:
        if it.command == "POST":
            it.send(202, b"", [("Location", f"{it.server.elsewhere}/bucket/1?X-Signature=abc")])
        else:
            it.send(403 if "/bucket/" in it.path else 404, b"<Error><Code>Expired</Code></Error>")

    with (
        Scripted(respond) as server,
        pytest.raises(HubError, match=r"http://localhost:\d+/bucket/1 refuses \(403: Expired"),
    ):
        push(server, tmp_path)


@pytest.mark.parametrize("limit", [("RateLimit-Remaining", "0;w=1"), ("Retry-After", "1")])
def test_the_end_of_a_registrys_window_is_waited_for(tmp_path: Path, limit: tuple[str, str]) -> None:
    kind, busy = Kind(), [1, 1]

    def respond(it: Request) -> None:
        if it.command == "POST" and busy:
            busy.pop()
            it.send(429, b'{"errors":[{"code":"TOOMANYREQUESTS"}]}', [limit])
        else:
            kind(it)

    with Scripted(respond) as server:
        assert [it for it in push(server, tmp_path) if it != "progress"] == ["waiting", "waiting"]
    assert kind.blobs == {DIGEST: BLOB}


def test_a_manifest_is_followed_to_where_a_registry_keeps_it() -> None:
    def respond(it: Request) -> None:
        if "/manifests/" in it.path:
            it.send(307, b"", [("Location", f"{it.server.elsewhere}/storage")])
        else:
            it.send(200, b"{}", [("Content-Type", "application/json; charset=utf-8")])

    digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry:
        assert registry.manifest("team/x", digest, ["a/b"]) == b"{}"


def test_a_blob_is_read_on_where_ranges_are_refused() -> None:
    respond: Callable[[Request], None] = lambda it: it.send(400) if it.headers["Range"] else it.send(200, BLOB)  # noqa: E731
    with Scripted(respond) as server, Registry(host(server), plain_http=True) as registry:
        assert b"".join(registry.blob("team/x", Descriptor(LAYER, DIGEST, len(BLOB)), PART)) == BLOB[PART:]
