"""Fuzz targets for input from hubs, registries, proxies and shared disks to fetch, publish and pull."""

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from larder_sidecar.config.url import UrlError
from larder_sidecar.weights import oci as reference
from larder_sidecar.weights.client import proxy, rate_limit
from larder_sidecar.weights.client.address import Address, parse_address, redact_url, resolve_reference
from larder_sidecar.weights.client.challenge import parse_challenges
from larder_sidecar.weights.client.server_message import MAX_MESSAGE, read_message
from larder_sidecar.weights.download.pieces import PieceJournal
from larder_sidecar.weights.errors import FetchError, GgufError
from larder_sidecar.weights.publish.registry import error_code
from larder_sidecar.weights.store.gguf import read_gguf
from larder_sidecar.weights.store.lease_holder import Holder
from larder_sidecar.weights.store.marker import Marker
from larder_sidecar.weights.store.ollama_layout import referenced_blobs
from pydantic import ValidationError
from urllib3.util import parse_url

from testbed.hub.tiny_model import tiny_model
from tests.fuzz.target import Target

GGUF = b"".join(tiny_model(0))


def gguf(raw: bytes) -> None:
    """Check that a file is a model or is refused."""
    with contextlib.suppress(GgufError):
        read_gguf(io.BytesIO(raw), len(raw))
    with contextlib.suppress(GgufError):  # as if its tensors followed
        read_gguf(io.BytesIO(raw), 10**9)


def references(raw: bytes) -> None:
    """Check that names of images are accepted or refused."""
    text = raw.decode(errors="surrogateescape")
    for of in (reference.parse_destination, reference.parse_image_name):
        with contextlib.suppress(FetchError):
            of(text)


_SENDER = parse_address("https://hub.example/a/b?c")


def addresses(raw: bytes) -> None:
    """Check that a URL is refused, or every parser finds the same host in it."""
    text = raw.decode("latin-1")
    found: Address | None = None
    with contextlib.suppress(UrlError):
        found = parse_address(text)
    redact_url(text)
    for address in filter(None, (found, _meant(text))):
        again = parse_address(address.url)
        assert again == address, "its one spelling is another address"
        parts = parse_url(address.url)
        assert (parts.scheme, parts.host) == (address.scheme, address.host)
        other = urlsplit(address.url)
        assert (other.hostname or "") == address.host.strip("[]").lower(), "Python's other parser finds another host"
        assert not re.search(r"[\x00-\x20\x7f\\@]", f"{address.host}"), "a host has characters that end one"


def _meant(text: str) -> Address | None:
    try:
        return resolve_reference(_SENDER, text)
    except UrlError:
        return None


def challenge(raw: bytes) -> None:
    """Check that any header is a list of challenges, possibly empty."""
    for one in parse_challenges([raw.decode("latin-1")]):
        assert one.scheme == one.scheme.lower()
        assert all(name == name.lower() for name in one.parameters)


def limits(raw: bytes) -> None:
    """Check that any headers ask for a finite wait."""
    lines = (line.partition(":") for line in raw.decode("latin-1").split("\n"))
    headers = {name.strip(): value.strip() for name, _, value in lines}
    assert 0 <= rate_limit.requested_pause(headers, 1.8e9) <= rate_limit.LONGEST
    rate_limit.is_exhausted(headers)


def no_proxy(raw: bytes) -> None:
    """Check that any value of NO_PROXY bypasses the proxy or does not."""
    text = raw.decode("latin-1")
    for host in ("https://hub.example", "http://10.1.2.3:8080", "https://[2001:db8::1]"):
        proxy._bypasses(parse_address(host), text)


def leases(raw: bytes) -> None:
    """Check that any lease has a holder, known or unknown."""
    holder = Holder.parse(raw)
    assert all(isinstance(word, str) and word.isprintable() for word in vars(holder).values())


def markers(raw: bytes) -> None:
    """Check that any text is a marker or is refused."""
    with contextlib.suppress(ValidationError):
        Marker.from_json(raw)


_FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())


def manifests(raw: bytes) -> None:
    """Check that a manifest names only blobs of the store, or is refused."""
    path = _FOLDER / f"larder-fuzz-manifest-{os.getpid()}"
    path.write_bytes(raw)
    assert all(re.fullmatch(r"blobs/sha256-[0-9a-f]{64}", blob) for blob in referenced_blobs(path) or ())
    path.unlink()


def journals(raw: bytes) -> None:
    """Check that a journal of a part counts no more bytes than the file has, or is ignored."""
    path = _FOLDER / f"larder-fuzz-journal-{os.getpid()}"
    path.write_bytes(raw)
    journal = PieceJournal(path, 10_000_000)
    assert 0 <= journal.pieces.held <= 10_000_000
    assert len(journal.pieces.counts) == -(-10_000_000 // journal.pieces.length)
    journal.close()
    path.unlink()


def refusals(raw: bytes) -> None:
    """Check that a server's reason for a refusal is one printable line, without the secret."""
    head, _, body = raw.partition(b"\n")
    assert re.fullmatch(r"[A-Z_]*", error_code(body))
    for headers in ({"Content-Type": head.decode("latin-1")}, {"X-Error-Message": raw.decode("latin-1")}):
        line = read_message(headers, body, ["hf_secret"])
        assert line.isprintable()
        assert len(line) <= MAX_MESSAGE
        assert "hf_secret" not in line


HASH = b"9" * 64
TARGETS = [
    Target(
        "gguf",
        gguf,
        [GGUF[:3000], GGUF[:500], b"GGUF\x03\0\0\0"],
        [b"GGUF", b"\xff" * 8, b"\0" * 8, b"general.alignment"],
    ),
    Target(
        "references",
        references,
        [b"docker.io/ollama/ollama@sha256:" + HASH, b"localhost:5000/a/b", b"[::1]:5000/x@sha256:" + HASH],
        [b"@sha256:", b"/", b":", b"docker.io", b"library/"],
    ),
    Target(
        "addresses",
        addresses,
        [
            *(
                b"https://hub.example/org/a?b=c#d",
                b"http://user:pw@hub.example:8080/x",
                b"//other.example/y",
                b"../z?q",
            ),
            *(b"http://127.0.0.1:7777\\@hub/x", b"http://[2001:db8::1]:443/a", b"https://xn--e1afmkfd.example/%2f"),
        ],
        [b"\\@", b"@", b"://", b"//", b"/..", b"[::1]", b"127.0.0.1", b"%40", b"\xc2\xa0", b"?", b"#"],
    ),
    Target(
        "challenges",
        challenge,
        [
            b'Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull"',
            b"Basic realm=x, Bearer realm=https://a.example/t , Negotiate YWJj==",
        ],
        [b"realm=", b'="', b'\\"', b"Bearer ", b", "],
    ),
    Target(
        "rate-limits",
        limits,
        [
            b"Retry-After: 30",
            b"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\nDate: Fri, 31 Dec 1999 23:59:00 GMT",
            b'RateLimit: "api";r=0;t=55, limit=100, remaining=0, reset=55',
            b"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1800000055\nRateLimit-Remaining: 0;w=21600",
        ],
        [
            b"Retry-After:",
            b"2026-11-30T10:00:00Z",
            b"-9999",
            b"0001-01-01T00:00:00+23:59",
            b"9999-12-31T23:59:59-23:59",
        ],
    ),
    Target(
        "no-proxy", no_proxy, [b"localhost,10.0.0.0/8,.svc,hub.example:443,[2001:db8::]/32,*"], [b"/33", b"::", b"*."]
    ),
    Target(
        "leases",
        leases,
        [b'{"id": "a1", "host": "node", "kernel": "b", "since": "2026-11-30T10:00:00+00:00"}'],
        [b'"id":', b'"host":null', b'"extra":1'],
    ),
    Target(
        "markers",
        markers,
        [
            b'{"schema":1,"plan":"a","completed-at":"b","seconds":1.5,"fetched-bytes":3,"files":{"a":{"bytes":1,"modified":2,'
            b'"sha256":"' + HASH + b'"}},"first-pull":{}}',
        ],
    ),
    Target(
        "manifests",
        manifests,
        [b'{"config":{"digest":"sha256:' + HASH + b'"},"layers":[{"digest":"sha256:' + HASH + b'"},{"digest":""}]}'],
        [b'"digest":', b"sha256-", b"../", b"null", b"1e99"],
    ),
    Target(
        "journals",
        journals,
        [b'{"etag": "\\"abc\\"", "size": 10000000, "length": 4194304, "have": [  4194304,    98304,        0]}'],
        [b'"have": [', b"  4194305", b"-1", b"true", b'"length": 33554432', b"9" * 30],
    ),
    Target(
        "refusals",
        refusals,
        [
            b'application/json\n{"errors":[{"code":"DENIED","message":"no hf_secret https://u:p@a.example/b?sig=1"}]}',
            b"application/xml\n<Error><Code>AccessDenied</Code><Message>a &amp; b</Message></Error>",
            b"text/html\n<html><title>403 &lt;Forbidden&gt;</title></html>",
        ],
        [b"hf_secret", b"<title>", b"https://", b"?", b'{"error":{"message":', b"&#x1b;", b"&#0;", b"\x1b[31m"],
    ),
]
