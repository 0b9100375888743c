"""Proxies are used as the environment names them, and their credentials are told to nobody else."""

from base64 import b64encode

import pytest
from larder_sidecar.weights.download.hosts import CONNECTIONS
from larder_sidecar.weights.download.pieces import MIN_PIECE
from larder_sidecar.weights.errors import DeniedError, HubError, TransientError

from testbed.hub.faults import Faults
from testbed.hub.server import Hub as LocalHub
from tests.sidecar.weights.kitchen import PATIENCE, Kitchen
from tests.sidecar.weights.proxy import Proxy

USER, QUOTED = "me:p@ss:wörd/%", "me:p%40ss:w%C3%B6rd%2F%25"
BASIC = f"Basic {b64encode(USER.encode()).decode()}"


@pytest.fixture(autouse=True)
def everything_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")


def test_a_proxy_is_used_where_the_environment_names_one(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen.publish()
    plan = kitchen.plan(kitchen.hub())
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(TransientError, match="cannot connect through the proxy"):
        kitchen.fetch(plan)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert kitchen.fetch(plan).fetched_bytes > 0


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_its_credentials_open_it(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    it = kitchen.publish()
    hub = kitchen.hub()
    with Proxy(BASIC) as proxy:
        monkeypatch.setenv("http_proxy", f"{scheme}{QUOTED}@{proxy.address}")
        assert kitchen.fetch(kitchen.plan(hub)).fetched_bytes == it.bytes
    assert proxy.heads[0].startswith(f"HEAD {hub.url}/{it.repo}/")


def test_they_open_its_tunnels_and_do_not_go_through(
    kitchen: Kitchen, tls_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = kitchen.publish()
    with Proxy(BASIC) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{QUOTED}@{proxy.address}")
        assert kitchen.fetch(kitchen.plan(tls_hub.url)).fetched_bytes == it.bytes
    assert set(proxy.heads) == {f"CONNECT {tls_hub.url.removeprefix('https://')}"}


def test_every_connection_of_a_large_file_goes_through_a_tunnel_of_its_own(
    kitchen: Kitchen, tls_hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = kitchen.publish(size=5 * MIN_PIECE)
    tls_hub.faults = Faults(bytes_per_second=40_000_000)
    with Proxy(BASIC) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{QUOTED}@{proxy.address}")
        assert kitchen.fetch(kitchen.plan(tls_hub.url)).fetched_bytes == it.bytes
    assert kitchen.models() == {"tiny:latest"}
    place = tls_hub.url.removeprefix("https://")
    # A connection each, kept from piece to piece.
    assert 2 <= len(proxy.heads) <= CONNECTIONS + 1
    assert set(proxy.heads) == {f"CONNECT {place}"}
    _tells_nothing(kitchen, None)


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy_that_wants_others_is_asked_once(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    kitchen.publish()
    url = "https://hub.test" if secure else kitchen.hub().url
    with Proxy("another") as proxy:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://{QUOTED}@{proxy.address}")
        with pytest.raises(DeniedError, match=r"proxy .*credentials \(407\).*HTTPS_PROXY") as caught:
            kitchen.fetch(kitchen.plan(url))
    assert len(proxy.heads) == 1
    _tells_nothing(kitchen, caught.value)


def test_a_proxy_that_has_no_way_is_asked_again_and_named(kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen.publish()
    with Proxy("another", refusal="502 Bad Gateway") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{QUOTED}@{proxy.address}")
        with pytest.raises(TransientError, match=rf"the proxy answers 502 \({proxy.address}\)") as caught:
            kitchen.fetch(kitchen.plan("https://hub.test"))
    assert len(proxy.heads) == PATIENCE.failures
    _tells_nothing(kitchen, caught.value)


@pytest.mark.parametrize(
    "value", ["socks5://{}@proxy.test:1080", "http://{}@[proxy", "http://{}@:3128", "http://{}@p:x"]
)
def test_what_is_no_proxy_that_we_can_use_is_refused_and_not_quoted(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    kitchen.publish()
    monkeypatch.setenv("http_proxy", value.format(QUOTED))
    with pytest.raises(HubError, match="HTTP_PROXY is not the URL of a proxy") as caught:
        kitchen.fetch(kitchen.plan(kitchen.hub()))
    assert "retry" not in kitchen.events()
    _tells_nothing(kitchen, caught.value)


def _tells_nothing(kitchen: Kitchen, error: Exception | None) -> None:
    for text in (str(error), kitchen.log.getvalue()):
        assert not any(secret in text for secret in (USER, QUOTED, "p@ss", "p%40ss", BASIC.split()[1]))
