"""Nobody on the internet sends us into our own network, however an address is written and whatever a name becomes."""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from larder_sidecar.weights.client.reach import is_public
from larder_sidecar.weights.errors import HubError, RedirectError
from larder_sidecar.weights.publish.layer import Descriptor
from larder_sidecar.weights.publish.registry import Registry

from testbed.hub.faults import Faults
from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.conftest import made_certificate
from tests.sidecar.weights.internet import CDN, HUB, PRIVATE, PRIVATE_V6, Handler, Site, network
from tests.sidecar.weights.kitchen import Kitchen
from tests.sidecar.weights.proxy import Proxy

PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",  # what DNS64 makes of it, in a cluster that has IPv6 alone
    "2002:101:101::1",
]
INSIDE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
    *("168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
    *("192.0.0.1", "192.0.0.170", "192.0.0.192", "192.0.0.255", "192.0.2.1", "192.88.99.1", "192.168.0.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::1.1.1.1", "::ffff:0:1.1.1.1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:224.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1.1.1.1"),
    *("100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1"),
    *("2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::1", "3fff::1", "4000::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_that_is_none_of_the_internet(address: str) -> None:
    assert not is_public(address)


@pytest.fixture(scope="module")
def internet() -> Iterator[None]:
    try:
        with network():
            yield
    except OSError as reason:
        if os.environ.get("CI") and os.geteuid() == 0:
            pytest.fail(f"no network namespace: {reason}")
        pytest.skip(f"needs root, for a network namespace: {reason}")


@pytest.fixture
def service(internet: None) -> Iterator[Site]:
    """A service of the cluster, at every address of this network; the public ones are reached too."""
    with Site(("::", 7777), lambda it: it.say(200, b"secret")).running() as site:
        yield site


AT = f"{HUB}:8090"
HOSTS = [
    *("127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "017700000001", "2130706433", "0", "0.0.0.0"),
    *("localhost", "LOCALHOST", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *PRIVATE,
    *(f"[{it}]" for it in PRIVATE_V6),
]
LOCATIONS = [
    *(f"http://{host}:7777/x?" for host in HOSTS),
    *("//127.0.0.1:7777/", "HTTP://127.0.0.1:7777/", "http://127.0.0.1:07777/"),
    *(f"http://127.0.0.1:7777{mark}@{AT}/x" for mark in ("\\", "\\\\", "/\\", "?", "#", ";", "%5c", "%40", "\t", " ")),
    *(f"http://{mark}@127.0.0.1:7777/x" for mark in ("", AT, f"{AT}/", "user:pass", "a%40b")),
    *(
        f"{mark}127.0.0.1:7777/x"
        for mark in ("http:\\\\", "\\\\", "/\\", "\\/", "http:/\\", "http:", "http:/", "http:///", "///")
    ),
    *("http://%31%32%37.0.0.1:7777/x", "http://①②⑦.0.0.1:7777/x", "http://127。0。0。1:7777/x"),
    *("http://127.0.0.1:7777 /x", " http://127.0.0.1:7777/x", "http://127.0.0.1\t:7777/x", "http://[::1%25lo]:7777/x"),
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_hub_on_the_internet_cannot_have_a_private_address_asked(
    kitchen: Kitchen, service: Site, location: str
) -> None:
    kitchen.publish()
    hub = LocalHub(kitchen.folder / "hub", (HUB, 8090), faults=Faults(redirect=location.encode().decode("latin-1")))
    with hub, pytest.raises(HubError) as caught:
        kitchen.fetch(kitchen.plan(hub))
    assert service.asked == []
    assert HUB in caught.value.reason


def test_a_private_hub_may_redirect_within_its_network_and_a_public_one_to_its_cdn(
    kitchen: Kitchen, internet: None
) -> None:
    it = kitchen.publish()
    for index, (hub, cdn) in enumerate([("10.0.0.5", "127.0.0.1"), (HUB, CDN), ("10.0.0.5", CDN)]):
        kitchen.root = kitchen.folder / str(index)
        storage = LocalHub(kitchen.folder / "hub", (cdn, 0))
        with storage, LocalHub(kitchen.folder / "hub", (hub, 0), faults=Faults(redirect=storage.url)) as source:
            assert kitchen.fetch(kitchen.plan(source)).fetched_bytes == it.bytes


def test_a_cdn_of_a_private_hub_cannot_send_back_inside(kitchen: Kitchen, service: Site) -> None:
    kitchen.publish()
    with LocalHub(kitchen.folder / "hub", (CDN, 8091), faults=Faults(redirect="http://127.0.0.1:7777")) as cdn:
        hub = LocalHub(kitchen.folder / "hub", ("10.0.0.5", 8090), faults=Faults(redirect=cdn.url))
        with hub, pytest.raises(RedirectError, match="into the private network"):
            kitchen.fetch(kitchen.plan(hub))
    assert service.asked == []


Lookup = Callable[[str], list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Iterator[list[str]]]:
    """Answer lookups of names in turn; an address resolves to itself."""
    answers: dict[str, Iterator[list[str]]] = {}
    real = socket.getaddrinfo

    def lookup(host: str, *more: object, **options: object) -> list[object]:
        found = next(answers[host]) if host in answers else [host]
        return [entry for address in found for entry in real(address, *more, **options)]  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return answers


def turns(*answers: list[str]) -> Iterator[list[str]]:
    while True:
        yield from answers


@pytest.mark.parametrize(
    "answers",
    [
        [[CDN], ["127.0.0.1"]],
        [["127.0.0.1"], [CDN]],
        [["127.0.0.1"]],
        [[CDN, "127.0.0.1"]],
        [["127.0.0.1", CDN]],
        [[CDN], [CDN], ["::1"]],
        [["::ffff:127.0.0.1"]],
    ],
    ids=str,
)
@pytest.mark.parametrize("host", ["other.test", "hub.test"])
def test_a_name_that_changes_leads_nowhere_that_was_not_judged(
    kitchen: Kitchen, service: Site, names: dict[str, Iterator[list[str]]], answers: list[list[str]], host: str
) -> None:
    kitchen.publish()
    names["hub.test"] = turns([HUB], *(answers if host == "hub.test" else []))
    names["other.test"] = turns(*answers)
    redirect = Faults(redirect=f"http://{host}:7777")
    with LocalHub(kitchen.folder / "hub", (HUB, 8090), faults=redirect), pytest.raises(HubError):
        kitchen.fetch(kitchen.plan("http://hub.test:8090"))
    assert all(is_public(here) for here, *_ in service.asked)


def test_a_token_in_clear_text_reaches_no_public_address_of_a_name_that_changes(
    kitchen: Kitchen, internet: None, names: dict[str, Iterator[list[str]]]
) -> None:
    kitchen.publish()
    with (
        LocalHub(kitchen.folder / "hub", ("10.0.0.5", 8090)) as inside,
        LocalHub(kitchen.folder / "hub", (HUB, 8090)) as outside,
    ):
        for index, answers in enumerate([[["10.0.0.5"], [HUB]], [[HUB, "10.0.0.5"]], [[HUB], ["10.0.0.5"]]]):
            kitchen.root = kitchen.folder / str(index)
            names["hub.test"] = turns(*answers)
            try:
                kitchen.fetch(kitchen.plan("http://hub.test:8090"), token="hf_secret")
            except HubError:
                continue
    assert all(line.endswith(" -") for line in outside.stats.log)
    assert any(line.endswith(" token") for line in inside.stats.log)


def test_a_name_is_resolved_once_for_each_connection(
    kitchen: Kitchen, internet: None, names: dict[str, Iterator[list[str]]]
) -> None:
    it = kitchen.publish()
    lookups = []

    def counted() -> Iterator[list[str]]:
        while True:
            lookups.append("cdn.test")
            yield [CDN]

    names["hub.test"], names["cdn.test"] = turns([HUB]), counted()
    with LocalHub(kitchen.folder / "hub", (CDN, 8091)):
        redirect = Faults(redirect="http://cdn.test:8091")
        with LocalHub(kitchen.folder / "hub", (HUB, 8090), faults=redirect):
            assert kitchen.fetch(kitchen.plan("http://hub.test:8090")).fetched_bytes == it.bytes
    assert len(lookups) == 1


PRIVATE_PLACES = [
    "http://127.0.0.1:7777",
    "http://169.254.169.254:7777",
    f"http://127.0.0.1:7777\\@{AT}",
    "http://[::]:7777",
]


@pytest.mark.parametrize("place", PRIVATE_PLACES)
@pytest.mark.parametrize("what", ["blob", "upload", "realm"])
def test_a_registry_on_the_internet_cannot_have_a_private_address_asked(service: Site, place: str, what: str) -> None:
    def answer(it: Handler) -> None:
        if what == "realm":
            it.say(401, WWW_Authenticate=f'Bearer realm="{place}/token"')
        else:
            it.say(307 if what == "blob" else 202, Location=f"{place}/x")

    def use() -> None:
        if what == "upload":
            registry.append("a/b", registry.start("a/b"), 0, [b"x"], 1)
        else:
            list(registry.blob("a/b", Descriptor("x", f"sha256:{'0' * 64}", 1)))

    registry = Registry(HUB, plain_http=True, stall_seconds=2)
    with Site((HUB, 80), answer).running(), registry, pytest.raises(RedirectError):
        use()
    assert service.asked == []


@pytest.mark.parametrize("place", PRIVATE_PLACES)
@pytest.mark.parametrize("what", ["blob", "realm"])
def test_a_registry_of_artifacts_on_the_internet_cannot_either(
    kitchen: Kitchen, service: Site, place: str, what: str
) -> None:
    it = kitchen.publish()

    def answer(it: Handler) -> None:
        if what == "realm":
            it.say(401, WWW_Authenticate=f'Bearer realm="{place}/token"')
        else:
            it.say(307, Location=f"{place}/x")

    url = f"oci+http://{HUB}/a/b@sha256:{it.sha256}"
    with Site((HUB, 80), answer).running(), pytest.raises(RedirectError):
        kitchen.fetch(kitchen.plan("http://x", url=url, revision=None))  # type: ignore[arg-type]
    assert service.asked == []


def test_a_token_that_anybody_gets_is_sent_in_clear_text_too(kitchen: Kitchen, internet: None) -> None:
    it = kitchen.publish()

    def answer(handler: Handler) -> None:
        if handler.path.startswith("/token"):
            handler.say(200, b'{"token": "for-all"}')
        elif handler.headers.get("Authorization") != "Bearer for-all":
            handler.say(401, WWW_Authenticate=f'Bearer realm="http://{HUB}/token"')
        else:
            handler.say(404)

    url = f"oci+http://{HUB}/a/b@sha256:{it.sha256}"
    with Site((HUB, 80), answer).running() as site, pytest.raises(HubError, match="404"):
        kitchen.fetch(kitchen.plan("http://x", url=url, revision=None))  # type: ignore[arg-type]
    assert {authorization for *_, authorization in site.asked} == {None, "Bearer for-all"}


def hub_that_redirects(kitchen: Kitchen, to: str) -> Callable[[Handler], None]:
    """A hub, as asked through a proxy, that has its files at `to`."""
    it = kitchen.published["tiny"]
    facts = {"X_Repo_Commit": it.revision, "X_Linked_Size": str(it.bytes), "X_Linked_Etag": f'"{it.sha256}"'}
    return lambda handler: handler.say(302, b"", Location=to, **facts)


BEHIND_A_PROXY = [*PRIVATE_PLACES, "http://inside.test:7777", "http://mixed.test:7777", "//[fd00::1]:7777"]


@pytest.mark.parametrize("place", BEHIND_A_PROXY)
def test_no_proxy_is_asked_for_a_private_address_to_which_a_public_hub_redirects(
    kitchen: Kitchen, service: Site, names: dict[str, Iterator[list[str]]], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    kitchen.publish()
    names.update({"hub.test": turns([HUB]), "inside.test": turns(["10.0.0.5"]), "mixed.test": turns([CDN, "10.0.0.5"])})
    monkeypatch.setenv("NO_PROXY", "")
    with Proxy(None) as proxy, Site((HUB, 8090), hub_that_redirects(kitchen, f"{place}/x")).running():
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        with pytest.raises(RedirectError, match=r"hub\.test"):
            kitchen.fetch(kitchen.plan("http://hub.test:8090"))
    assert {head.split("/")[2] for head in proxy.heads} == {"hub.test:8090"}
    assert service.asked == []


def test_a_name_that_only_the_proxy_knows_is_one_of_the_internet(
    kitchen: Kitchen, internet: None, names: dict[str, Iterator[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    it = kitchen.publish()
    content = next((kitchen.folder / "hub").rglob("*.gguf")).read_bytes()
    names["hub.test"], names["cdn.test"] = turns([HUB]), iter([[], [CDN]])  # first here, then at the proxy
    monkeypatch.setenv("NO_PROXY", "")
    with (
        Proxy(None) as proxy,
        Site((HUB, 8090), hub_that_redirects(kitchen, "http://cdn.test:8091/x")).running(),
        Site((CDN, 8091), lambda handler: handler.say(200, content)).running(),
    ):
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        assert kitchen.fetch(kitchen.plan("http://hub.test:8090")).fetched_bytes == it.bytes


def test_a_cdn_behind_a_proxy_that_calls_itself_private_sends_nobody_past_the_proxy(
    kitchen: Kitchen, service: Site, names: dict[str, Iterator[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen.publish()
    names.update({"hub.test": turns([HUB]), "cdn.test": turns([CDN], [CDN], ["10.0.0.5"])})
    with (
        Proxy(None) as proxy,
        Site((HUB, 8090), hub_that_redirects(kitchen, "http://cdn.test:8091/x")).running(),
        Site((CDN, 8091), lambda handler: handler.say(302, Location="http://10.0.0.5:7777/x")).running(),
    ):
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8")
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        with pytest.raises(RedirectError, match=r"cdn\.test.* into the private network"):
            kitchen.fetch(kitchen.plan("http://hub.test:8090"))
    assert service.asked == []


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_a_private_hub_whose_connections_end_with_each_answer_may_redirect_too(
    kitchen: Kitchen, internet: None, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    it = kitchen.publish()
    monkeypatch.setattr(Handler, "protocol_version", protocol)
    with LocalHub(kitchen.folder / "hub", ("127.0.0.1", 0)) as storage:
        to = f"{storage.url}/{it.repo}/resolve/{it.revision}/{it.path}"
        with Site(("10.0.0.5", 8090), hub_that_redirects(kitchen, to)).running():
            assert kitchen.fetch(kitchen.plan("http://10.0.0.5:8090")).fetched_bytes == it.bytes


def test_tls_and_the_host_header_keep_the_name(
    kitchen: Kitchen, names: dict[str, Iterator[list[str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen.publish()
    certificate = made_certificate(tmp_path, "DNS:hub.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("NO_PROXY", "*")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    told: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: told.append(name)
    answer = hub_that_redirects(kitchen, "/elsewhere")

    def noted(handler: Handler) -> None:
        told.append(handler.headers.get("Host"))
        answer(handler)

    names["hub.test"], names["other.test"] = turns(["127.0.0.1"]), turns(["127.0.0.1"])
    with Site(("127.0.0.1", 0), noted, context).running() as site:
        with pytest.raises(RedirectError, match="more than 5 times"):
            kitchen.fetch(kitchen.plan(f"https://hub.test:{site.server_port}"))
        with pytest.raises(HubError, match="TLS failed"):
            kitchen.fetch(kitchen.plan(f"https://other.test:{site.server_port}"))
    assert {*told} == {"hub.test", f"hub.test:{site.server_port}", "other.test"}


@pytest.mark.parametrize(("port", "sent"), [(443, "Bearer hf_secret"), (8443, None)])
def test_the_token_of_a_hub_that_goes_over_to_tls_goes_along(
    kitchen: Kitchen,
    internet: None,
    shared_certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    port: int,
    sent: str | None,
) -> None:
    kitchen.publish()
    monkeypatch.setenv("SSL_CERT_FILE", str(shared_certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shared_certificate, f"{shared_certificate}.key")
    there = f"https://{HUB}" + (f":{port}" if port != 443 else "")
    with (
        Site((HUB, 80), lambda it: it.say(301, Location=there + it.path)).running() as clear,
        Site((HUB, port), lambda it: it.say(404), context).running() as secure,
        pytest.raises(HubError),
    ):
        kitchen.fetch(kitchen.plan(f"http://{HUB}"), token="hf_secret")
    assert {authorization for *_, authorization in clear.asked} == {None}
    assert {authorization for *_, authorization in secure.asked} == {sent}


@pytest.fixture(scope="module")
def shared_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_certificate(tmp_path_factory.mktemp("tls"), f"IP:{HUB}")
