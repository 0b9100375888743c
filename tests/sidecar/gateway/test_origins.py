"""Properties of origins: a page of an unlisted origin gets no permission and no POST, whatever its head has."""

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from larder_sidecar.config.cors import Cors
from larder_sidecar.gateway.origins import Origins
from larder_sidecar.gateway.request import GatewayRequest

from tests.sidecar.gateway.scripted import PROPERTY

LISTED = ["https://app.example", "http://localhost:*", "https://*.corp.example:*", "vscode-webview://*"]
ORIGINS = Origins("alone", Cors(origins=LISTED))
PIECES = (
    b"https://",
    b"http://",
    b"app.example",
    b"corp.example",
    b"localhost",
    b".",
    b":",
    b"*",
    b"@",
    b"\\",
    b"/",
    b"null",
)
VALUE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=6), max_size=8).map(b"".join)


def request(method: str, *headers: tuple[bytes, bytes]) -> GatewayRequest:
    made = GatewayRequest()
    made.method, made.headers, made.by_browser = method, [*headers], True
    return made


def is_listed(origin: bytes) -> bool:
    """Tell if the list has the origin, by another parser."""
    try:
        text = origin.decode("ascii").lower()
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme == "vscode-webview":
        return True
    name = host if port is None else f"{host}:{port}"
    if parts.netloc not in (name, f"{name}:") or parts.path or parts.query or parts.fragment:
        return False
    web = parts.scheme == "https"
    return (
        text == "https://app.example" or (web and host.endswith(".corp.example")) or text.startswith("http://localhost")
    )


@PROPERTY
@given(origin=VALUE, host=VALUE, site=st.sampled_from((b"same-origin", b"same-site", b"cross-site", b"none", b"")))
def test_an_origin_that_is_not_listed_is_allowed_nothing(origin: bytes, host: bytes, site: bytes) -> None:
    headers = ((b"host", host), (b"origin", origin), (b"sec-fetch-site", site))
    preflight, post = request("OPTIONS", *headers), request("POST", *headers)
    ORIGINS.judge(preflight)
    refused = ORIGINS.judge(post)
    allowed = b"access-control-allow-origin" in (post.cors or b"")
    assert allowed == (b"access-control-allow-origin" in (preflight.cors or b""))
    if not is_listed(origin):
        assert not allowed
        ours = origin.lower().endswith(b"://" + host.lower()) or host.lower().startswith(
            origin.partition(b"://")[2].lower()
        )
        assert refused is not None or ours


@PROPERTY
@given(
    labels=st.lists(st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True), min_size=2, max_size=4), port=st.integers(1, 65535)
)
def test_an_unlisted_public_name_is_never_accepted(labels: list[str], port: int) -> None:
    host = ".".join([*labels, "example"]).encode()
    for name in (host, b"%b:%d" % (host, port)):
        rebound = request("POST", (b"host", name), (b"origin", b"http://" + name))
        assert ORIGINS.judge(rebound) is not None
