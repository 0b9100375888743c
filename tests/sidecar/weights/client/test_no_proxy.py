"""NO_PROXY is read as Go, curl and requests read it."""

import contextlib
import os
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.weights.client.address import parse_address
from larder_sidecar.weights.client.proxy import proxy_for
from larder_sidecar.weights.errors import TransientError

from tests.sidecar.weights.kitchen import Kitchen

PROXY = "http://proxy.test:3128"
LISTED = [
    ("10.1.2.3", "10.0.0.0/8"),
    ("10.1.2.3:8080", "10.0.0.0/8"),
    ("10.1.2.3", "10.1.2.9/8"),
    ("10.1.2.3", "localhost,127.0.0.1,10.0.0.0/8,.svc"),
    ("10.1.2.3", "10.1.2.3/32"),
    ("10.1.2.3", "0.0.0.0/0"),
    ("10.1.2.3", "10.0.0.0/255.0.0.0"),
    ("10.1.2.3", "10.1.2.3"),
    ("10.1.2.3:8080", "10.1.2.3"),
    ("10.1.2.3:8080", "10.1.2.3:8080"),
    ("10.1.2.3", "10.1.2.3:80"),
    ("[::ffff:10.1.2.3]", "10.0.0.0/8"),
    ("[::ffff:10.1.2.3]", "10.1.2.3"),
    ("[fd00::1]", "fd00::/8"),
    ("[fd00::1]", "[fd00::]/8"),
    ("[fd00::1]", "fd00::1"),
    ("[fd00::1]", "FD00:0:0::1"),
    ("[fd00::1]", "[fd00::1]"),
    ("[fd00::1]:8080", "[fd00::1]:8080"),
    ("[fd00::1]:8080", "fd00::1"),
    ("[::1]", "::1"),
    ("hub.svc", ".svc"),
    ("hub.models.svc", ".svc"),
    ("hub.models.svc", "svc"),
    ("hub.models.svc", "*.svc"),
    ("hub.models.svc", "HUB.models.SVC"),
    ("HUB.models.svc", "hub.models.svc"),
    ("hub.models.svc", "hub.models.svc."),
    ("hub.models.svc.", "hub.models.svc"),
    ("hub.models.svc.", ".svc."),
    ("hub.models.svc", "..svc"),
    ("hub.models.svc", "models.svc:80"),
    ("hub.models.svc:8080", ".svc:8080"),
    ("hub.models.svc:8080", "*.svc:08080"),
    ("example.com", ".example.com"),
    ("example.com", "example.com"),
    ("anything.test", "*"),
    ("anything.test", "a.test, *"),
    ("10.1.2.3", "*"),
    ("[fd00::1]", "*"),
    ("hub.test", " a.test , hub.test "),
    ("hub.test", "a.test hub.test"),
    ("hub.test", "a.test,,\thub.test,"),
    ("hub.test", "10.0.0.0/99,fd00::/999,:,[,/,.,*.,hub.test"),
    ("xn--e1afmkfd.test", "xn--e1afmkfd.test"),
    ("my_hub.test", "my_hub.test"),
    ("localhost:8080", "localhost"),
    ("127.0.0.1:8080", "127.0.0.0/8"),
]
UNLISTED = [
    ("11.1.2.3", "10.0.0.0/8"),
    ("10.1.2.3", ""),
    ("10.1.2.3", "10.1.2.33"),
    ("10.1.2.3", "10.1.2"),
    ("10.1.2.3", ".2.3"),
    ("10.1.2.3", "2.3"),
    ("10.1.2.3", "*.2.3"),
    ("10.1.2.3", "10.1.2.3:8080"),
    ("10.1.2.3:8080", "10.1.2.3:80"),
    ("10.1.2.3", "fd00::/8"),
    ("10.1.2.3", "::/0"),
    ("[fd00::1]", "0.0.0.0/0"),
    ("[fd00::1]", "fd00::2"),
    ("[fd00::1]", "[fd00::1]:8080"),
    ("[fd00::1]", "fe80::/10"),
    ("hub.svc", "10.0.0.0/8"),
    ("10.hub.test", "10.0.0.0/8"),
    ("hub.test", "ub.test"),
    ("hub.test", ".hub"),
    ("hub.test", "hub.test.svc"),
    ("hub.test:8080", "hub.test:80"),
    ("hub.test", "hub.test:8080"),
    ("example.com", "*.example.com"),
    ("badexample.com", "example.com"),
    ("badexample.com", "*.example.com"),
    ("hub.test", ".,*.,:80,[],/8,,"),
    ("hub.test", "h*b.test"),
    ("localhost", "127.0.0.1"),
    ("127.0.0.1", "localhost"),
]


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    monkeypatch.setenv("https_proxy", PROXY)


@pytest.mark.parametrize(("place", "value"), LISTED)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_what_is_listed_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, place: str, value: str, variable: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert proxy_for(parse_address(f"http://{place}/x")) is None


@pytest.mark.parametrize(("place", "value"), UNLISTED)
def test_what_is_not_listed_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch, place: str, value: str) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    assert proxy_for(parse_address(f"http://{place}/x")) == PROXY


@pytest.mark.parametrize(("value", "direct"), [("hub.test:443", True), ("hub.test:80", False)])
def test_a_port_that_the_url_does_not_name_is_the_one_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, value: str, direct: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", value)
    assert (proxy_for(parse_address("https://hub.test/x")) is None) is direct


def test_the_variable_in_lower_case_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "other.test")
    assert proxy_for(parse_address("http://hub.test/x")) == PROXY


NETWORKS = st.builds(
    lambda address, length: f"{address}/{length % (address.max_prefixlen + 1)}",
    st.ip_addresses(),
    st.integers(min_value=0, max_value=128),
)


@given(st.ip_addresses(), NETWORKS)
def test_an_address_is_listed_where_a_range_holds_it(address: IPv4Address | IPv6Address, network: str) -> None:
    listed = _network(network)
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped
    host = f"[{address}]" if address.version == 6 else str(address)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", f"a.test, {network}")
        direct = proxy_for(parse_address(f"http://{host}/x")) is None
    assert direct is ((mapped or address) in listed)


def _network(text: str) -> IPv4Network | IPv6Network:
    return (IPv6Network if ":" in text else IPv4Network)(text, strict=False)


@given(st.text(max_size=40))
def test_no_value_ends_in_a_traceback(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(ValueError, UnicodeError):  # what no environment can hold
            patch.setenv("NO_PROXY", text)
        proxy_for(parse_address("http://hub.test/x"))
        proxy_for(parse_address("http://[fd00::1]:1/x"))


@pytest.mark.parametrize("listed", ["127.0.0.0/8", "localhost,127.0.0.0/8,.svc,.cluster.local", "127.0.0.1:{port}"])
def test_a_hub_in_a_listed_range_is_asked_without_the_proxy(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    it = kitchen.publish()
    hub = kitchen.hub()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1:1")
    with pytest.raises(TransientError, match="cannot connect through the proxy"):
        kitchen.fetch(kitchen.plan(hub))
    monkeypatch.setenv("NO_PROXY", listed.format(port=hub.server_port))
    assert kitchen.fetch(kitchen.plan(hub)).fetched_bytes == it.bytes
