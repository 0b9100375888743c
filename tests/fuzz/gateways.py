"""Fuzz targets for the bytes that clients and engines send to a gateway."""

import contextlib
import json
import re
from collections.abc import Callable
from typing import Any

from larder_sidecar.config.gateway import GatewayConfig, Limits
from larder_sidecar.config.residency import Residency
from larder_sidecar.config.routing import Routing
from larder_sidecar.gateway import generation, splice
from larder_sidecar.gateway.names import Names, Unknown
from larder_sidecar.gateway.streams import ANTHROPIC, NDJSON, OPENAI, RESPONSES, Stream, watch_for
from larder_sidecar.http.headers import header_value
from larder_sidecar.http.reader import RequestReader
from larder_sidecar.http.registry import Registry
from larder_sidecar.http.request import Request
from larder_sidecar.residency.load_options import LoadOptionsError, parse_keep_alive, resolve_load_options
from larder_sidecar.routing.prompt import FIELDS, last_prompt
from larder_sidecar.routing.router import Router

from tests.fuzz.target import Target, cuts

BODIES = [
    b'{"model":"tiny","messages":[{"role":"user","content":"hi"}],"stream":true}',
    b'{ "messages" : [ {"role":"user","content":[{"type":"text","text":"a \\"b\\" \\u00e9"}]} ] , "MODEL" : "a\\\\" }',
    b'{"\\u006dodel":"x","keep_alive":"5m","options":{"num_ctx":1,"a":[1,2,{"model":"b"}]},"name":null}',
    b'{"prompt":"","model":null,"keep_alive":-1,"x":[[],{},[[]],"{","}"],"y":-1.5e3}',
    b"{}",
    b'{"input":["a","b"],"model":"m","Keep_Alive":0}',
]
BODY_TOKENS = [
    b'"model":',
    b'"MODEL":"x",',
    b'"name":"y"',
    b'"keep_alive":0',
    b'{"role":"user","content":',
    b'"text"',
    b"\\u006d",
    b"}}",
]


def _pairs(raw: bytes) -> list[tuple[str, Any]] | None:
    try:
        value = json.loads(raw.decode(errors="surrogatepass"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return value.items if isinstance(value, _Pairs) else None


class _Pairs:
    def __init__(self, items: list[tuple[str, Any]]) -> None:
        self.items = items


def _folded(key: str) -> str:
    return key.lower().replace("\u017f", "s").replace("\u212a", "k")


def bodies(raw: bytes) -> None:
    """Check that a body that json accepts is read as json reads it, and spliced to what json then reads."""
    found: splice.Fields | None = None
    with contextlib.suppress(splice.BodyError):
        found = splice.find(raw, ("model",), ("keep_alive", "options"))
    alone: splice.Fields | None = None
    with contextlib.suppress(splice.BodyError):
        alone = splice.find(raw)
    assert found is None or alone == {name: field for name, field in found.items() if name == "model"}
    pairs = _pairs(raw)
    if pairs is None:
        return
    wanted = [(_folded(key), value) for key, value in pairs if _folded(key) in ("model", "keep_alive", "options")]
    models = [value for key, value in wanted if key == "model"]
    assert len(models) < 2 or alone is None, "one of two models is taken"
    readable = len({key for key, _ in wanted}) == len(wanted) and all(isinstance(m, str) or m is None for m in models)
    assert (found is not None) == readable or _doubtful(models), "one of the two refuses it"
    if found is None:
        return
    assert [found["model"].text] == [m or "" for m in models] if "model" in found else not models
    assert found.keys() == {key for key, _ in wanted}
    new = b"".join(splice.replace(raw, {k: f for k, f in found.items() if k == "model"}, "new"))
    after = _pairs(new)
    assert after is not None
    assert [value for key, value in after if _folded(key) == "model"] == ["new"]
    assert [key for key, _ in after if _folded(key) != "model"] == [key for key, _ in pairs if _folded(key) != "model"]


def _doubtful(models: list[Any]) -> bool:
    """Return names that only one of the two accepts: too long, or with control characters or odd bytes in them."""
    return any(isinstance(m, str) and (len(m) > 600 or not m.isprintable()) for m in models)


def streams(kind: Stream) -> Callable[[bytes], None]:
    """Check that a stream is read the same however it is cut."""

    def seen(pieces: list[bytes]) -> tuple[bool, bool]:
        watch = watch_for(kind, 200, b"text/event-stream" if kind.framing == "sse" else b"application/x-ndjson")
        assert watch is not None
        for piece in pieces:
            if piece:
                watch.see(piece)
        watch.finish()
        return watch.ended, watch.failed

    def check(raw: bytes) -> None:
        assert seen([raw]) == seen(cuts(raw))

    return check


SSE = [
    b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\ndata: [DONE]\n\n',
    b'event: message_stop\r\ndata: {"type":"message_stop"}\r\n\r\n',
    b'data:{"error":{"message":"x"}}\n\n: c\n\ndata: [DONE]\n',
    b'event: response.completed\ndata: {"type":"response.completed","response":{"error":null}}\n\n',
    b'data: {"choices":[{"finish_reason":"abort"}]}\n\nevent: error\ndata: {"type":"error"}\n\n',
]
LINES = [
    b'{"message":{"content":"a"},"done":false}\n{"done":true}\n',
    b'{"error":"x"}\r\n',
    b'{"done" : true, "context":[1,2]}',
]
PARTS = [
    b"\n\n",
    b"\r\n\r\n",
    b"\r",
    b"data: [DONE]",
    b"data:",
    b'"done":true',
    b'{"error":1}',
    b'"abort"',
    b"event: error\n",
]

_ROUTER = Router(
    Routing.model_validate(
        {
            "rules": [
                {"pattern": "(?i)(write|a.{0,20}b)$", "model": "a"},
                {"min-characters": 3, "max-characters": 9, "model": "b"},
            ]
        }
    )
)


def prompts(raw: bytes) -> None:
    """Check that no body is an error to the rules."""
    for endpoint in FIELDS:
        last_prompt(endpoint, raw)
    for _ in _ROUTER.explain("/api/chat", lambda name: name, raw, lambda model: model == "a"):
        pass


def words(raw: bytes) -> None:
    """Check that load options are understood or refused."""
    with contextlib.suppress(LoadOptionsError):
        parse_keep_alive(raw)
    with contextlib.suppress(LoadOptionsError):
        resolve_load_options(_RESIDENCY, {"keep_alive": raw, "options": raw}, keep_alive=5.0, pinned=False)
    with contextlib.suppress(LoadOptionsError):
        resolve_load_options(_RESIDENCY, {"options": raw}, keep_alive=5.0, pinned=True)


_RESIDENCY = Residency.model_validate({"client-options": "ignore"})
_CONFIG = GatewayConfig.model_validate(
    {
        "engines": [{"kind": "ollama", "url": "http://127.0.0.1:1"}],
        "models": [{"id": f"tiny-{n}", "engine-name": f"tiny:{n}", "aliases": [f"gpt-{n}"]} for n in range(9)],
    }
)
_NAMES = Names(_CONFIG)


def names(raw: bytes) -> None:
    """Check that any name resolves to a model that is valid in a header, or is refused in one printable line."""
    name = raw.decode(errors="surrogateescape")
    found = _NAMES.resolve(name)
    if isinstance(found, Unknown):
        assert found.message.isprintable()
        assert len(found.message) < 2000
    value = header_value(name).decode("ascii")
    assert value.isprintable()


def pulled(raw: bytes) -> None:
    """Check that each file is served under its own name, which is valid in a header, or listed with a reason."""
    stems = {line.decode(errors="surrogateescape") for line in raw.split(b"\n")}
    known = Names(_CONFIG)
    known.add_pulled(stems)
    served = {model.id for model in known.models} - {model.id for model in _CONFIG.models}
    assert served | set(known.unservable) == {stem if stem in served else ascii(stem) for stem in stems}
    for name in served:
        assert re.fullmatch(r"[ -~]{1,127}", name)
        assert not set(name) & set("\"\\<>&'`")
        model = known.resolve(name)
        assert not isinstance(model, Unknown)
        assert model.id == name


def generations(raw: bytes) -> None:
    """Check that an engine's answer becomes one of the service, or an error."""
    for status in (200, 400):
        answer = generation.generated("tiny", status, raw)
        told = json.loads(answer.body)
        assert isinstance(told["response"], str) if answer.status == 200 else answer.message


class _Consumer:
    request = Request

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def admit(self, request: Request) -> None:
        del request

    def request_read(self, request: Request) -> None:
        whole = (request.method, request.path, request.query, tuple(request.headers), bytes(request.body))
        # A head that is wrong twice, too many headers and no colon in one, is refused for what was read first.
        self.seen.append(("refused",) if request.refusal else whole)


def _requests(pieces: list[bytes]) -> list[tuple[object, ...]]:
    consumer = _Consumer()
    reader = RequestReader(consumer, Limits(body_bytes=2000), Registry(10))
    for piece in pieces:
        rest: bytes | memoryview = piece
        while rest and not reader.stopped:
            rest = reader.feed(rest)
    return consumer.seen


def requests(raw: bytes) -> None:
    """Check that a connection brings the same requests however it is cut."""
    assert _requests([raw]) == _requests(cuts(raw))


HTTP = [
    b'POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{"model":"tiny"}',
    b"GET / HTTP/1.1\r\nhost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: b\r\n\r\n3;x=y\r\nabc\r\n0\r\nb: c\r\n\r\n",
    b"HEAD http://a:1/b HTTP/1.0\r\nExpect: 100-continue\r\n\r\nGET /c HTTP/1.1\r\nHost: y\r\n\r\n",
]
HTTP_TOKENS = [
    b"\r\n\r\n",
    b"Upgrade: x\r\n",
    b"Connection: upgrade\r\n",
    b"Content-Length: 3\r\n",
    b"chunked",
    b" HTTP/1.1",
    b"\n\n",
    b"0\r\n\r\n",
]
TARGETS = [
    Target("bodies", bodies, BODIES, BODY_TOKENS),
    Target("streams-openai", streams(OPENAI), SSE, PARTS),
    Target("streams-anthropic", streams(ANTHROPIC), SSE, PARTS),
    Target("streams-responses", streams(RESPONSES), SSE, PARTS),
    Target("streams-ndjson", streams(NDJSON), LINES, PARTS),
    Target("prompts", prompts, BODIES, BODY_TOKENS),
    Target(
        "keep-alive", words, [b'"30m"', b"-1", b'"1h30m5.5s"', b'{"num_ctx":4096,"temperature":0}', b"null", b"1e400"]
    ),
    Target(
        "pulled-names", pulled, [b"a-Q4_0\na.Q8_0\nA\nauto\n.x", b"caf\xe9\nTiny\ntiny-1\na b\n"], [b"\n", b"-Q4_K_M"]
    ),
    Target(
        "generations",
        generations,
        [b'{"choices":[{"text":"a","finish_reason":"stop"}],"usage":{"a":1}}', b'{"error":{"message":"m"}}'],
        BODY_TOKENS,
    ),
    Target("names", names, [b"tiny-1", b"TINY:2", b"gpt-3", b"a:cloud", b"hf.co/a/b:Q4_K_M", b"auto"]),
    Target("requests", requests, HTTP, HTTP_TOKENS),
]
