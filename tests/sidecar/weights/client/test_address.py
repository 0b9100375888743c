"""One parser says where a URL leads, and what another could read as another host is refused."""

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from larder_sidecar.weights.client.address import check_tls, parse_address, redact_url, resolve_redirect
from larder_sidecar.weights.errors import RedirectError
from urllib3.util import parse_url

HERE = parse_address("https://hub.test:8443/a/b?c=d")
LOCATIONS = {
    "https://cdn.test/x": "https://cdn.test/x",
    "HTTPS://CDN.Test/X": "https://cdn.test/X",
    "https://cdn.test:/x#y": "https://cdn.test/x",
    "https://cdn.test?x": "https://cdn.test?x",
    " \thttps://cdn.test/x\t ": "https://cdn.test/x",
    "https://[2606:4700::1111]:444/x": "https://[2606:4700::1111]:444/x",
    "https://cdn_1.test./x": "https://cdn_1.test./x",
    "https://cdn.test/a@b:c//d?u=https://e.test/@f": "https://cdn.test/a@b:c//d?u=https://e.test/@f",
    "https://cdn.test/mod\xc3\xa8le?\xe8": "https://cdn.test/mod%C3%A8le?%E8",
    "//cdn.test/x": "https://cdn.test/x",
    "/x": "https://hub.test:8443/x",
    "x": "https://hub.test:8443/a/x",
    "../x?y": "https://hub.test:8443/x?y",
    "?x": "https://hub.test:8443/a/b?x",
    "/..//cdn.test/x": "https://hub.test:8443/cdn.test/x",
    "/x//y": "https://hub.test:8443/x//y",
    "./https://cdn.test/x": "https://hub.test:8443/a/https://cdn.test/x",
}
REFUSED = [
    *("http://hub.test:8443/x", "ftp://cdn.test/x", "file:///etc/passwd", "cdn.test:80/x", "javascript:x", "https:"),
    *("https://", "https:///x", "https:/x", "https:x", "//", "///x", "///cdn.test/x", "https://:443/x", "https://?x"),
    *("https://cdn.test\\@hub.test:8443/x", "https:\\\\cdn.test", "\\\\cdn.test/x", "/\\cdn.test/x", "/x\\y"),
    *("https://user@cdn.test/x", "https://user:pass@cdn.test/x", "https://@cdn.test/x", "https://a@b@cdn.test/x"),
    *("https://cdn.test /x", "https://cdn.test/x y", "https://cdn.test\t/x", "https://cdn.test/x\r\nHost: y", "/\x00"),
    *(
        "https://cdn.test:0/x",
        "https://cdn.test:65536/x",
        "https://cdn.test:x/",
        "https://cdn.test:-1/",
        "https://a:1:2/",
    ),
    *("https://\xe4.test/x", "https://cdn%2etest/x", "https://cdn.test%00/x", "https://[cdn.test]/x", "https://[::1/x"),
    *(
        "https://[::1%25lo]/x",
        "https://[::1]x/",
        "https://cdn.test;x/",
        "https://cdn,test/",
        "https://a.test/, https://b.test/",
    ),
]


@pytest.mark.parametrize(("location", "leads"), LOCATIONS.items())
def test_a_location_leads_where_the_connection_goes(location: str, leads: str) -> None:
    assert resolve_redirect(HERE, location).url == leads


@pytest.mark.parametrize("location", REFUSED)
def test_a_location_that_has_more_than_one_reading_or_none_is_refused_and_its_sender_named(location: str) -> None:
    with pytest.raises(RedirectError, match=r"https://hub\.test:8443/a/b redirects to") as caught:
        resolve_redirect(HERE, location)
    assert "pass" not in str(caught.value).replace("password", "")


def test_tls_does_not_end_on_the_way() -> None:
    plain, secure = parse_address("http://hub.test/f"), parse_address("https://hub.test/f")
    for sender, target in [(plain, plain), (plain, secure), (secure, secure)]:
        check_tls(sender, target)
    with pytest.raises(RedirectError, match="without TLS"):
        check_tls(secure, plain)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://hub.test/x", "https://HUB.test:443/y", True),
        ("http://hub.test/x", "http://hub.test:080/y", True),
        ("https://[2606:4700:0::1111]/", "https://[2606:4700:0::1111]:443/", True),
        ("https://hub.test/", "http://hub.test/", False),
        ("https://hub.test/", "https://hub.test:444/", False),
        ("https://hub.test/", "https://hub.test./", False),
        ("https://127.0.0.1/", "https://127.1/", False),
    ],
)
def test_credentials_belong_to_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (parse_address(one).origin == parse_address(other).origin) is same


MARKS = st.sampled_from(
    [*"\\/@:?#[]%.;,\t\r\n\0 ", "//", "127.0.0.1", "hub.test", "http:", "https://", "%5c", ":80", "::1", "é"]
)


@given(st.lists(MARKS | st.characters(), max_size=9).map("".join))
@example("http://127.0.0.1:7777\\@hub.test/x")
def test_every_parser_reads_the_same_host_in_what_is_not_refused(text: str) -> None:
    for url in (text, f"https://{text}"):
        try:
            address = parse_address(url)
        except ValueError:
            continue
        assert parse_address(address.url) == address
        connected, other = parse_url(url), urlsplit(address.url)
        assert (connected.scheme, connected.host) == (address.scheme, address.host)
        assert (other.scheme, other.hostname) == (address.scheme, address.host.strip("[]"))
        assert (other.port or {"http": 80, "https": 443}[other.scheme]) == address.port
        assert re.fullmatch(r"[!-~]+", address.url)


@given(st.lists(MARKS, max_size=9).map("".join))
def test_a_relative_location_stays_with_its_host(text: str) -> None:
    try:
        target = resolve_redirect(HERE, f"/{text.lstrip('/')}")
    except RedirectError:
        return
    assert target.origin == HERE.origin


def test_messages_hide_signatures_and_passwords() -> None:
    assert redact_url("https://me:secret@cdn.test:8443/a/b?X-Amz-Signature=abc") == "https://cdn.test:8443/a/b"
    assert redact_url("http://thief.test\\@hub.test/x").startswith("http://thief.test/")
    assert "secret" not in redact_url("https://me:secret@[nonsense/")
