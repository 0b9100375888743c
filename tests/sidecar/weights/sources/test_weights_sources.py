"""Weights come from plain web servers and from artifacts as they come from a hub, pinned by their hash."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from larder_sidecar.config.weights import FIRST_PULL, ModelWeights, WeightsFile, WeightsPlan
from larder_sidecar.weights.errors import ContentError, DeniedError, FetchError, HubError, NotFoundError, TransientError
from pydantic import ValidationError

from testbed.hub.tiny_model import tiny_model
from tests.sidecar.weights.kitchen import Kitchen

CONTENT = b"".join(tiny_model())
SHA256 = hashlib.sha256(CONTENT).hexdigest()
TITLE, FILEPATH = "org.opencontainers.image.title", "org.cnai.model.filepath"


class Server(ThreadingHTTPServer):
    """A web server, a registry and its token service in one; what it answers is `pages`, by path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes] = {"/files/tiny.gguf": CONTENT, f"/v2/a/b/blobs/sha256:{SHA256}": CONTENT}
        self.moved: dict[str, str] = {}
        self.no_head = self.closed = False
        self.length: int | None = None
        self.busy = 0
        self.token, self.locked, self.shy, self.half = "", 401, False, ""
        self.challenges = 'Bearer realm="http://HOST/token",service="s",scope="repository:a/b:pull"'
        self.seen: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def artifact(self, layers: list[dict[str, Any]] | None = None, **changes: Any) -> str:
        """The URL of a manifest with these layers."""
        layer = {
            "digest": f"sha256:{SHA256}",
            "size": len(CONTENT),
            "mediaType": "application/vnd.cncf.model.weight.v1.raw",
            "annotations": {TITLE: "tiny.gguf"},
        }
        manifest = {"schemaVersion": 2, "layers": [layer | changes] if layers is None else layers}
        return self.manifest(json.dumps(manifest).encode())

    def manifest(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.pages[f"/v2/a/b/manifests/{digest}"] = content
        return f"oci+http://{self.host}/a/b@{digest}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        server, path = self.server, self.path
        token = self.headers.get("Authorization", "-")
        server.seen.append(f"{self.command} {path} {token}")
        if path.startswith("/token?") and server.busy:
            server.busy -= 1
            self._send(429, b"", {"RateLimit": '"tokens";r=0;t=1'})
        elif path.startswith("/token?"):
            self._send(403 if server.closed else 200, json.dumps({"token": server.token}).encode())
        elif server.token and path.startswith("/v2/") and token != f"Bearer {server.token}":
            told = server.challenges.replace("HOST", server.host)
            shy = server.shy and path != "/v2/"
            if server.half and path != "/v2/":
                told = server.half
            self._send(server.locked, b"{}", {} if shy else {"WWW-Authenticate": told})
        elif self.command == "HEAD" and server.no_head:
            self._send(405, b"")
        elif path in server.moved:
            self._send(307, b"", {"Location": server.moved[path]})
        elif path in server.pages:
            self._send(200, server.pages[path])
        else:
            self._send(404, b"")

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        length = len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as it:
        yield it


def plan(url: str, *, path: str = "tiny.gguf", sha256: str = SHA256, size: int = len(CONTENT)) -> WeightsPlan:
    file = WeightsFile(path=path, url=url, bytes=size, sha256=sha256)
    return WeightsPlan(models=[ModelWeights(id="tiny", served_names=["tiny"], format="gguf", files=[file])])


@pytest.mark.parametrize("no_head", [False, True])
def test_a_file_comes_from_any_web_server(kitchen: Kitchen, server: Server, no_head: bool) -> None:
    server.no_head = no_head
    kitchen.fetch(plan(f"http://{server.host}/files/tiny.gguf"))
    assert kitchen.models() == {"tiny:latest"}


def test_the_hubs_token_goes_to_the_hub_alone(kitchen: Kitchen, server: Server) -> None:
    kitchen.fetch(plan(f"http://{server.host}/files/tiny.gguf"), token="hf_secret")
    assert {line.split()[-1] for line in server.seen} == {"-"}


def test_a_web_server_that_redirects_is_followed(kitchen: Kitchen, server: Server) -> None:
    with running() as mirror:
        server.moved["/old.gguf"] = f"http://{mirror.host}/files/tiny.gguf"
        kitchen.fetch(plan(f"http://{server.host}/old.gguf"))
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize(
    ("page", "error", "says"),
    [
        (None, NotFoundError, "404"),
        (CONTENT[:-1], ContentError, f"sends {len(CONTENT) - 1} bytes, the plan says {len(CONTENT)}"),
        (bytes(len(CONTENT)), ContentError, "the content has sha256"),
    ],
)
def test_what_is_not_the_file_of_the_plan_is_refused(
    kitchen: Kitchen, server: Server, page: bytes | None, error: type[FetchError], says: str
) -> None:
    server.pages = {} if page is None else {"/files/tiny.gguf": page}
    with pytest.raises(error, match=says):
        kitchen.fetch(plan(f"http://{server.host}/files/tiny.gguf"))
    assert kitchen.models() == set()


LAYERS: dict[str, dict[str, Any]] = {
    "by its title, as oras push names it": {},
    "by its sha256, whatever its name": {"annotations": {}},
    "by its path, as modctl build names it": {"annotations": {FILEPATH: "tiny.gguf"}},
}


@pytest.mark.parametrize("sha256", [SHA256, FIRST_PULL])
@pytest.mark.parametrize("changes", LAYERS.values(), ids=LAYERS.keys())
def test_a_file_is_found_in_an_artifact(kitchen: Kitchen, server: Server, changes: dict[str, Any], sha256: str) -> None:
    it = plan(server.artifact(**changes), sha256=sha256)
    if sha256 == FIRST_PULL and changes == {"annotations": {}}:
        with pytest.raises(NotFoundError, match="no named files"):
            kitchen.fetch(it)
        return
    kitchen.fetch(it)
    assert kitchen.models() == {"tiny:latest"}


def test_a_registry_gives_anybody_a_token_and_it_goes_nowhere_else(kitchen: Kitchen, server: Server) -> None:
    server.token = "given-to-all"
    with running() as store:
        blob = f"/v2/a/b/blobs/sha256:{SHA256}"
        server.moved[blob] = f"http://{store.host}{blob}"
        kitchen.fetch(plan(server.artifact()))
        assert [line.split()[-1] for line in store.seen] == ["-"]
    asked = [line.split()[1] for line in server.seen]
    assert asked[1] == "/token?service=s&scope=repository%3Aa%2Fb%3Apull"
    assert sum(path.startswith("/token") for path in asked) == 1
    assert kitchen.models() == {"tiny:latest"}
    assert "given-to-all" not in kitchen.log.getvalue()


@pytest.mark.parametrize("shy", [False, True], ids=["everywhere", "at /v2/ alone"])
@pytest.mark.parametrize("locked", [401, 403])
@pytest.mark.parametrize(
    "challenges",
    [
        'Negotiate, Basic realm="r", Bearer realm="http://HOST/token",service="s",scope="repository:a/b:pull"',
        "bearer Realm = /token , SERVICE=s",
    ],
)
def test_a_registry_says_in_its_own_way_that_it_gives_tokens(
    kitchen: Kitchen, server: Server, locked: int, shy: bool, challenges: str
) -> None:
    server.token, server.locked, server.shy, server.challenges = "given-to-all", locked, shy, challenges
    kitchen.fetch(plan(server.artifact()))
    assert kitchen.models() == {"tiny:latest"}
    asked = next(line.split()[1] for line in server.seen if "/token?" in line)
    assert asked == "/token?service=s&scope=repository%3Aa%2Fb%3Apull"


def test_a_challenge_of_an_artifact_that_leads_nowhere_is_asked_for_at_the_front_door(
    kitchen: Kitchen, server: Server
) -> None:
    server.token, server.half = "given-to-all", 'Bearer error="invalid_token"'
    kitchen.fetch(plan(server.artifact()))
    assert kitchen.models() == {"tiny:latest"}


@pytest.mark.parametrize("name", ["layers", "blobs"])
def test_an_artifact_may_have_layers_without_names_or_blobs(kitchen: Kitchen, server: Server, name: str) -> None:
    layer = {"digest": f"sha256:{SHA256}", "size": len(CONTENT), "mediaType": "x/y", "annotations": None}
    kitchen.fetch(plan(server.manifest(json.dumps({name: [layer]}).encode())))
    assert kitchen.models() == {"tiny:latest"}


def test_a_challenge_of_whoever_keeps_the_blobs_is_not_the_registrys(kitchen: Kitchen, server: Server) -> None:
    with running() as store:
        store.token = "of-the-store"
        blob = f"/v2/a/b/blobs/sha256:{SHA256}"
        server.moved[blob] = f"http://{store.host}{blob}"
        with pytest.raises(HubError, match="401"):
            kitchen.fetch(plan(server.artifact()))
        assert not any("/token" in line for line in [*server.seen, *store.seen])


REFUSED: dict[str, tuple[dict[str, Any], type[FetchError], str]] = {
    "another name": ({"digest": f"sha256:{'0' * 64}", "annotations": {TITLE: "x"}}, NotFoundError, "it has x"),
    "another content": ({"digest": f"sha256:{'0' * 64}"}, ContentError, "the plan says"),
    "another size": ({"size": 5}, ContentError, "has 5 bytes"),
    "an archive": ({"mediaType": "application/vnd.cncf.model.weight.v1.tar"}, HubError, "is packed"),
    "no digest": ({"digest": "md5:1"}, HubError, "not a manifest with layers"),
}


@pytest.mark.parametrize(("changes", "error", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_an_artifact_without_the_file_of_the_plan_is_refused(
    kitchen: Kitchen, server: Server, changes: dict[str, Any], error: type[FetchError], says: str
) -> None:
    with pytest.raises(error, match=says):
        kitchen.fetch(plan(server.artifact(**changes)))
    assert not any("/blobs/" in line for line in server.seen)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"manifests": []}', b"[" * 100_000])
def test_what_is_no_manifest_is_named(kitchen: Kitchen, server: Server, content: bytes) -> None:
    with pytest.raises(HubError, match="is not a manifest with layers"):
        kitchen.fetch(plan(server.manifest(content)))


@pytest.mark.parametrize("content", [b"{}", b" " * (4 * 2**20 + 1)], ids=["changed", "endless"])
def test_a_manifest_that_has_not_its_digest_is_not_read(kitchen: Kitchen, server: Server, content: bytes) -> None:
    url = server.artifact()
    server.pages[f"/v2/a/b/manifests/{url.rpartition('@')[2]}"] = content
    with pytest.raises(ContentError, match="other bytes than the manifest of that digest"):
        kitchen.fetch(plan(url))


def test_a_private_artifact_is_denied_in_words(kitchen: Kitchen, server: Server) -> None:
    server.token, server.closed = "for-nobody", True
    with pytest.raises(DeniedError, match=r"gives no token \(403\).*Make the artifact public"):
        kitchen.fetch(plan(server.artifact()))


def test_a_token_service_that_is_busy_is_waited_for(kitchen: Kitchen, server: Server) -> None:
    server.token, server.busy = "given-to-all", 1
    kitchen.fetch(plan(server.artifact()))
    assert "waiting" in kitchen.events()


def test_a_dead_registry_is_tried_a_few_times(kitchen: Kitchen) -> None:
    with pytest.raises(TransientError, match="cannot connect"):
        kitchen.fetch(plan(f"oci+http://127.0.0.1:1/a/b@sha256:{'0' * 64}"))


def test_where_bytes_come_from_does_not_name_the_plan(kitchen: Kitchen) -> None:
    kitchen.publish()
    hub = kitchen.plan("http://hub.test").models[0].files[0]
    others = [
        WeightsFile(path=hub.path, url=url, bytes=hub.bytes, sha256=hub.sha256)
        for url in ("https://a.test/x", f"oci://a.test/x@sha256:{'0' * 64}")
    ]
    models = [ModelWeights(id="tiny", served_names=["tiny"], format="gguf", files=[file]) for file in (hub, *others)]
    assert len({WeightsPlan(models=[model]).digest() for model in models}) == 1


WRONG = {
    "an artifact by its tag": ({"url": "oci://host/a:latest"}, "url"),
    "an artifact with a commit": (
        {"url": f"oci://h/a@sha256:{'0' * 64}", "revision": "main"},
        "Fix: remove `revision`",
    ),
    "a URL without a hash": ({"url": "https://host/x", "sha256": FIRST_PULL}, "write its sha256"),
    "a password": ({"url": "https://me:pw@host/x"}, "holds a user or password"),
}


@pytest.mark.parametrize(("changes", "says"), WRONG.values(), ids=WRONG.keys())
def test_what_pins_nothing_is_no_plan(changes: dict[str, str], says: str) -> None:
    facts = {"path": "x", "bytes": 1, "sha256": SHA256}
    with pytest.raises(ValidationError, match=says):
        WeightsFile.model_validate(facts | changes)
