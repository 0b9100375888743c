"""Tokens and passwords go to the host that they were given for, however a redirect is written."""

import base64
import contextlib
import hashlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from larder_sidecar.weights.client.login import Login
from larder_sidecar.weights.errors import FetchError, HubError
from larder_sidecar.weights.publish.layer import Descriptor
from larder_sidecar.weights.publish.registry import Registry

from testbed.hub.faults import Faults
from tests.sidecar.weights.conftest import made_certificate
from tests.sidecar.weights.internet import Handler, Site
from tests.sidecar.weights.kitchen import Kitchen


@pytest.fixture
def thief() -> Iterator[Site]:
    with Site(("127.0.0.1", 0), lambda it: it.say(404)).running() as site:
        yield site


TO_THE_THIEF = [
    *("http://{thief}/x", "http://{thief}\\@{hub}/x", "http://{thief}/\\@{hub}/x", "http://{thief}?@{hub}/x"),
    *(
        "http://{thief}#@{hub}/x",
        "//{thief}/x",
        "//{thief}\\@{hub}/x",
        "http://{hub}@{thief}/x",
        "http://{hub}\\@{thief}/x",
    ),
    *(
        "\\\\{thief}/x",
        "/\\{thief}/x",
        "http:\\\\{thief}\\@{hub}/x",
        "http://{thief}\t@{hub}/x",
        "http://{thief}%5c@{hub}/x",
    ),
    *("http://{thief}\\.{hub}/x", "http:///{thief}/x", "http://{hub}:@{thief}/x"),
]


@pytest.mark.parametrize("location", TO_THE_THIEF)
@pytest.mark.parametrize("hops", [1, 2])
def test_the_token_of_a_hub_goes_to_no_other_host(kitchen: Kitchen, thief: Site, location: str, hops: int) -> None:
    kitchen.publish()
    hub = kitchen.hub(token="hf_secret")
    to = location.format(thief=thief.place, hub=hub.url.removeprefix("http://"))
    with Site(("127.0.0.1", 0), lambda it: it.say(302, Location=to)).running() as cdn:
        hub.faults = Faults(redirect=to if hops == 1 else f"http://{cdn.place}")
        with pytest.raises(HubError):
            kitchen.fetch(kitchen.plan(hub), token="hf_secret")
        assert all(authorization is None for *_, authorization in [*thief.asked, *cdn.asked])


PASSWORD = "robot:s3cret"
BASIC = f"Basic {base64.b64encode(PASSWORD.encode()).decode()}"
BLOB = b"x" * 100
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
Start = Callable[[Callable[[Handler], None]], Site]


@pytest.fixture(scope="module")
def shared_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.fixture
def secure(shared_certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts web servers with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shared_certificate, f"{shared_certificate}.key")
    monkeypatch.setenv("SSL_CERT_FILE", str(shared_certificate))
    with contextlib.ExitStack() as stack:
        yield lambda answer: stack.enter_context(Site(("127.0.0.1", 0), answer, context).running())


def client(site: Site) -> Registry:
    return Registry(site.place, login=Login(password=PASSWORD), stall_seconds=5)


def spoken(location: str, thief: Site, home: Site) -> str:
    return location.replace("http:", "https:").format(thief=thief.place, hub=home.place)


@pytest.mark.parametrize("location", TO_THE_THIEF)
@pytest.mark.parametrize("hops", [1, 2])
def test_the_password_of_a_registry_goes_to_no_storage(secure: Start, location: str, hops: int) -> None:
    thief = secure(lambda it: it.say(200, BLOB))
    storage = secure(lambda it: it.say(307, Location=spoken(location, thief, home)))

    def answer(it: Handler) -> None:
        if it.headers.get("Authorization") != BASIC:
            it.say(401, WWW_Authenticate='Basic realm="x"')
        else:
            to = spoken(location, thief, home) if hops == 1 else f"https://{storage.place}/blob"
            it.say(307, Location=to)

    home = secure(answer)
    with client(home) as registry, contextlib.suppress(FetchError):
        list(registry.blob("a/b", Descriptor("x", DIGEST, len(BLOB))))
    assert BASIC in {authorization for *_, authorization in home.asked}
    assert {authorization for *_, authorization in [*thief.asked, *storage.asked]} <= {None}


@pytest.mark.parametrize("location", TO_THE_THIEF)
def test_the_password_of_a_registry_goes_to_no_place_for_uploads(secure: Start, location: str) -> None:
    thief = secure(lambda it: it.say(202, Location="/next", Range="0-99"))

    def answer(it: Handler) -> None:
        if it.headers.get("Authorization") != BASIC:
            it.say(401, WWW_Authenticate='Basic realm="x"')
        else:
            it.say(202, Location=spoken(location, thief, home))

    home = secure(answer)
    with client(home) as registry, contextlib.suppress(FetchError):
        place, _ = registry.append("a/b", registry.start("a/b"), 0, [BLOB], len(BLOB))
        registry.finish("a/b", place, DIGEST)
    assert {authorization for *_, authorization in thief.asked} <= {None}


REALMS = [
    *("http://{office}/token", "http://{hub}@{office}/token", "https://{office}\\@{hub}/token"),
    *("https://{hub}@{office}/token", "https://{office} /token", "https:\\\\{office}/token", "https:///{office}/token"),
]


@pytest.mark.parametrize(
    ("realm", "sent"),
    [("https://{office}/token", {BASIC}), ("//{office}/token", {BASIC}), *((it, set()) for it in REALMS)],
)
def test_a_password_buys_a_token_over_tls_at_the_place_that_the_registry_names(
    secure: Start, realm: str, sent: set[str]
) -> None:
    office = secure(lambda it: it.say(200, b'{"token": "abc"}'))

    def answer(it: Handler) -> None:
        there = realm.format(office=office.place, hub=home.place)
        if it.headers.get("Authorization") == "Bearer abc":
            it.say(200)
        else:
            it.say(401, WWW_Authenticate=f'Bearer realm="{there}",service="x"')

    home = secure(answer)
    with client(home) as registry, contextlib.nullcontext() if sent else pytest.raises(HubError):
        assert registry.has("a/b", DIGEST)
    assert {authorization for *_, authorization in office.asked} == sent
    assert BASIC not in {authorization for *_, authorization in home.asked}


def test_an_office_that_redirects_gets_no_password_carried_on(secure: Start) -> None:
    thief = secure(lambda it: it.say(200, b'{"token": "abc"}'))
    office = secure(lambda it: it.say(307, Location=f"https://{thief.place}/token"))
    home = secure(lambda it: it.say(401, WWW_Authenticate=f'Bearer realm="https://{office.place}/token"'))
    with client(home) as registry, pytest.raises(HubError, match=r"gives no token \(307\)"):
        registry.has("a/b", DIGEST)
    assert thief.asked == []


def test_an_office_may_redirect_within_its_host(secure: Start) -> None:
    def sell(it: Handler) -> None:
        if it.path.startswith("/v1/"):
            it.say(307, Location=f"https://{office.place}/v2/{it.path.removeprefix('/v1/')}")
        else:
            it.say(200, b'{"token": "abc"}')

    def answer(it: Handler) -> None:
        realm = f'Bearer realm="https://{office.place}/v1/token"'
        it.say(200) if it.headers.get("Authorization") == "Bearer abc" else it.say(401, WWW_Authenticate=realm)

    office = secure(sell)
    home = secure(answer)
    with client(home) as registry:
        assert registry.has("a/b", DIGEST)
    assert [authorization for *_, authorization in office.asked] == [BASIC, BASIC]


@pytest.mark.parametrize(
    "location",
    [
        *("https://{thief}/v2/a/b/blobs/uploads/1", "https://{thief}\\@{hub}/v2/a/b/blobs/uploads/1", "no URL", ""),
        *("https://{hub}/v2/other/manifests/latest", "https://{hub}/v2/uploads/manifests/latest", "https://{hub}/x"),
        *("https://{hub}/x/../v2/a/manifests/uploads", "http://{hub}/v2/a/b/blobs/uploads/1"),
    ],
)
def test_a_place_that_a_store_remembers_is_no_place_where_the_password_may_go(secure: Start, location: str) -> None:
    thief, home = secure(lambda it: it.say(204, Range="0-9")), secure(lambda it: it.say(204, Range="0-9"))
    with client(home) as registry:
        assert registry.resume_point("a/b", location.format(thief=thief.place, hub=home.place)) is None
    assert (thief.asked, home.asked) == ([], [])


def test_an_upload_goes_on_at_the_registry_and_where_it_sends_uploads_in_this_run(secure: Start) -> None:
    storage = secure(lambda it: it.say(204, Range="0-9"))
    home = secure(lambda it: it.say(202 if it.command == "POST" else 204, Location=there, Range="0-9"))
    there = f"https://{storage.place}/put/1"
    with client(home) as registry:
        assert registry.resume_point("a/b", f"https://{home.place}/v2/a/b/blobs/uploads/1?state=x") == (there, 10)
        assert registry.start("a/b") == there
        assert registry.resume_point("a/b", there) == (there, 10)
