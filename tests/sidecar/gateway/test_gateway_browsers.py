"""Web pages: those of listed origins are answered, all others refused, under any host name of the gateway."""

import json
from pathlib import Path

import pytest
from larder_sidecar.config.cors import Cors
from larder_sidecar.config.gateway import GatewayConfig
from pydantic import ValidationError

from tests.sidecar.gateway.conftest import CHAT, Start
from tests.sidecar.gateway.holding import Holding
from tests.sidecar.gateway.resident import TOKEN, With, chat
from tests.sidecar.gateway.scripted import Engine, Response, Turn, connect, until

APP = "https://app.example"
LISTED = {"cors": {"origins": [APP, "http://localhost:*", "https://*.corp.example", "vscode-webview://*"]}}
JSON = "Content-Type: application/json\r\n"
SAFE_FOR_A_PAGE = "Content-Type: text/plain;charset=UTF-8\r\n"


def head(**fields: str) -> str:
    return "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())


async def sent(
    port: int, method: str = "POST", path: str = CHAT, host: str = "127.0.0.1", body: bytes = b"{}", more: str = ""
) -> Response:
    """Send a request with the test's own Host."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    async with connect(port) as client:
        content = body if method == "POST" else b""
        await client.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{length}{more}\r\n".encode("latin-1") + content)
        return await client.response(head_only=method == "HEAD")


def allowed(response: Response) -> str:
    return response["access-control-allow-origin"]


@pytest.mark.parametrize(
    "origin",
    [
        APP,
        "http://localhost:3000",
        "http://localhost",
        "https://a.b.corp.example",
        "vscode-webview://1a2b",
        APP.upper(),
    ],
)
async def test_a_page_of_a_listed_origin_sends_requests_and_reads_answers(
    start: Start, engine: Engine, origin: str
) -> None:
    async with start(**LISTED) as running:
        preflight = await sent(
            running.port,
            "OPTIONS",
            more=head(
                Origin=origin,
                Access_Control_Request_Method="POST",
                Access_Control_Request_Headers="authorization,content-type,x-stainless-lang",
            ),
        )
        assert (preflight.status, allowed(preflight), preflight.body) == (204, origin, b"")
        assert preflight["access-control-allow-headers"] == "authorization,content-type,x-stainless-lang"
        assert "POST" in preflight["access-control-allow-methods"].split(", ")
        assert int(preflight["access-control-max-age"]) > 0
        assert preflight["vary"] == "origin"
        assert (
            not {"content-length", "content-type", "access-control-allow-credentials"} & dict(preflight.headers).keys()
        )
        assert not engine.requests
        answer = await sent(running.port, more=head(Origin=origin, Content_Type="application/json"))
        assert (answer.status, allowed(answer), answer["vary"]) == (200, origin, "origin")
        exposed = answer["access-control-expose-headers"].split(", ")
        assert {"x-request-id", "x-larder-model", "x-larder-cache", "retry-after"} <= {*exposed}
        listed = await sent(running.port, "GET", "/v1/models", more=head(Origin=origin))
        assert (listed.status, allowed(listed)) == (200, origin)


FOREIGN = [
    "http://evil.example",
    "null",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "https://corp.example",
    "https://evilcorp.example",
    "https://a.corp.example.evil.example",
    "http://a.corp.example",
    "http://localhost.evil.example",
    "http://localhost:3000.evil.example",
    "http://localhost:3000@evil.example",
    "vscode-webview-evil://1",
    "",
    "https://app.example https://app.example",
    "https://app.example/",
    "https://app\xff.example",
    "x" * 20_000,
]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("settings", [LISTED, {}], ids=["listed", "none listed"])
async def test_a_page_of_another_origin_uses_nothing(
    start: Start, engine: Engine, origin: str, settings: dict[str, object]
) -> None:
    async with start(**settings) as running:
        preflight = await sent(running.port, "OPTIONS", more=head(Origin=origin, Access_Control_Request_Method="POST"))
        assert not [name for name, _ in preflight.headers if name.startswith("access-control-")]
        assert (preflight.status, preflight.body) == (204, b"")
        assert "larder:gateway.cors.origins does not list it" in preflight["x-larder-refused"]
        for path in (CHAT, "/api/generate", "/v1/messages", "/api/llm/unload", "/api/llm/route", "/api/show"):
            answer = await sent(running.port, path=path, more=head(Origin=origin) + SAFE_FOR_A_PAGE)
            assert answer.status == 403, path
            assert "larder:gateway.cors.origins" in str(answer.json()["error"])
            assert allowed(answer) == ""
        read = await sent(running.port, "GET", "/v1/models", more=head(Origin=origin))
        assert (read.status, allowed(read)) == (200, "")
    assert not engine.requests


async def test_several_origins_are_refused(start: Start) -> None:
    async with start(**LISTED) as running:
        assert (await sent(running.port, more=head(Origin=APP) * 2)).status == 403
        assert (await sent(running.port, more=head(Origin=APP) + head(Origin="http://evil"))).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "junk"])
async def test_a_browser_without_an_origin_is_judged_by_its_sec_fetch_site(
    start: Start, engine: Engine, site: str
) -> None:
    async with start() as running:
        assert (await sent(running.port, more=head(Sec_Fetch_Site=site))).status == 403
        assert (await sent(running.port, "GET", "/ui", more=head(Sec_Fetch_Site=site))).status == 200  # a link
    assert not engine.requests


OWN = [
    "127.0.0.1",
    "127.0.0.1:30080",
    "10.231.0.2:30080",
    "[::1]:8080",
    "[fd00::1]",
    "localhost:8080",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "larder",
    "larder:80",
    "larder.ai.svc",
    "larder.ai.svc.cluster.local:80",
    "box.local",
    "llm.internal",
]


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_our_own_page_sends_requests(start: Start, host: str, scheme: str) -> None:
    page = head(Origin=f"{scheme}://{host}".lower(), Sec_Fetch_Site="same-origin")
    async with start() as running:
        assert (await sent(running.port, host=host, more=page)).status == 200
        assert (await sent(running.port, host=host, more=head(Sec_Fetch_Site="same-origin"))).status == 200
        read = await sent(running.port, "GET", "/ui", host=host, more=head(Sec_Fetch_Site="none"))
        assert read.status == 200


REBOUND = ["evil.example", "evil.example:30080", "larder.ai", "1.2.3.4.evil.example", "local", "localhost.evil.example"]


@pytest.mark.parametrize("host", REBOUND)
async def test_a_rebound_dns_name_is_refused(start: Start, engine: Engine, host: str) -> None:
    """DNS rebinding: the page's own name resolves to the gateway, and the browser takes both for one origin."""
    async with start(auth={"mutations": "open"}) as running:
        ours = host == "local"  # no dot: the network's own search list finds it
        for more in (head(Origin=f"http://{host}"), head(Sec_Fetch_Site="same-origin"), head(Sec_Fetch_Site="none")):
            for path in (CHAT, "/api/llm/unload"):
                answer = await sent(running.port, path=path, host=host, more=more + JSON)
                assert (answer.status == 403) is not ours
        read = await sent(running.port, "GET", "/v1/models", host=host, more=head(Origin=f"http://{host}"))
        assert (read.status == 403) is not ours
        if not ours:
            assert (read.code, "larder:gateway.cors.origins" in read.body.decode()) == ("host_refused", True)
        plain = await sent(running.port, host=host, more=JSON)
        assert plain.status == 200  # no browser sends this


async def test_a_listed_host_name_is_accepted(start: Start) -> None:
    async with start(cors={"origins": ["https://llm.example"]}) as running:
        for host in ("llm.example", "llm.example:443"):
            page = head(Origin="https://llm.example", Sec_Fetch_Site="same-origin")
            assert (await sent(running.port, host=host, more=page)).status == 200
            link = await sent(running.port, "GET", "/ui", host=host, more=head(Sec_Fetch_Site="none"))
            assert link.status == 200


@pytest.mark.parametrize(
    "more",
    [
        "",
        SAFE_FOR_A_PAGE,
        "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: curl/8\r\n",
        "Sec-Fetch-Mode: cors\r\nAccept-Language: *\r\nUser-Agent: node\r\n",
        "Referer: http://app.example/\r\n",
    ],
    ids=["bare", "text", "curl -d", "node", "referer"],
)
@pytest.mark.parametrize("path", [CHAT, "/api/generate"])
async def test_a_client_other_than_a_browser_needs_no_origin_under_any_host_name(
    start: Start, more: str, path: str
) -> None:
    async with start() as running:
        assert (await sent(running.port, path=path, host="llm.example", more=more)).status == 200


@pytest.mark.parametrize(
    "host", ["a b", "a b/@", "a/b", "a@b", "a\\b", "a:b", "a:1:2", "[::1", "a,b", "\xff", "a?b", "a#b"]
)
async def test_an_invalid_host_is_refused(start: Start, engine: Engine, host: str) -> None:
    async with start() as running:
        answer = await sent(running.port, host=host)
        assert answer.status == 400
    assert not engine.requests


async def test_errors_and_refusals_are_read_by_a_page_of_a_listed_origin(start: Start, engine: Engine) -> None:
    async with start(**LISTED, limits={"body-bytes": 1000}) as running:
        for more, status in (
            ("Content-Encoding: gzip\r\n", 415),
            ("Expect: nothing\r\n", 417),
            ("X: " + 40_000 * "a" + "\r\n", 431),
            ("", 404),
        ):
            answer = await sent(running.port, body=b'{"model":"nobody"}', more=head(Origin=APP) + more)
            assert (answer.status, allowed(answer)) == (status, APP)
        large = await sent(running.port, body=b" " * 2000, more=head(Origin=APP))
        assert (large.status, allowed(large)) == (413, APP)
        await engine.stop()
        away = await sent(running.port, more=head(Origin=APP))
        assert (away.status, allowed(away)) == (503, APP)


async def test_streams_are_read_by_a_page_of_a_listed_origin(start: Start, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.stream_head()
        await turn.chunk(b"data: [DONE]\n\n")
        await turn.end()

    engine.script = script
    async with start(**LISTED) as running:
        answer = await sent(running.port, body=b'{"stream":true}', more=head(Origin=APP))
        assert (answer.status, allowed(answer), answer["vary"]) == (200, APP, "origin")


async def test_a_stream_that_waits_for_its_model_is_read_too(resident: With, ollama: Holding) -> None:
    async with resident(cors=LISTED["cors"], **{"heartbeat-seconds": 0.05}) as running:
        ollama.free.clear()
        async with connect(running.port) as client:
            await client.post(CHAT, chat("a", stream=True), head(Origin=APP))
            status, headers = await client.head()
            assert (status, dict(headers)["access-control-allow-origin"]) == (200, APP)
            ollama.free.set()


@pytest.mark.parametrize("asked", [True, False])
async def test_a_public_page_that_is_listed_may_reach_a_private_network(start: Start, asked: bool) -> None:
    more = head(Access_Control_Request_Private_Network="true") if asked else ""
    async with start(**LISTED) as running:
        answer = await sent(running.port, "OPTIONS", more=head(Origin=APP, Access_Control_Request_Method="POST") + more)
        assert answer["access-control-allow-private-network"] == ("true" if asked else "")


@pytest.mark.parametrize("wanted", ["a\r\n b", "x" * 5000, "a, b\x01", "a=b", ""])
async def test_invalid_header_names_are_not_echoed(start: Start, wanted: str) -> None:
    more = head(Origin=APP, Access_Control_Request_Method="POST", Access_Control_Request_Headers=wanted)
    async with start(**LISTED) as running:
        answer = await sent(running.port, "OPTIONS", more=more)
        assert answer.status in (204, 400)
        assert wanted == "" or wanted not in answer["access-control-allow-headers"]


async def test_answers_vary_by_origin_as_soon_as_one_is_listed(start: Start) -> None:
    async with start(**LISTED) as running:
        assert (await sent(running.port, "GET", "/v1/models"))["vary"] == "origin"
    async with start() as running:
        assert (await sent(running.port, "GET", "/v1/models"))["vary"] == ""


async def test_a_star_admits_every_origin(start: Start) -> None:
    async with start(cors={"origins": ["*"]}) as running:
        for origin in ("http://evil.example", "null"):
            answer = await sent(running.port, host="any.example", more=head(Origin=origin))
            assert (answer.status, allowed(answer)) == (200, "*")


async def test_cors_headers_pass_in_neither_direction(start: Start, engine: Engine) -> None:
    async def script(turn: Turn) -> None:
        await turn.reply(b"{}", headers="Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n")

    engine.script = script
    async with start(**LISTED) as running:
        answer = await sent(running.port, more=head(Origin=APP, Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors"))
        assert (allowed(answer), answer["access-control-allow-credentials"]) == (APP, "")
        seen = engine.requests[0].headers
        assert not [name for name in seen if name.startswith(("origin", "sec-fetch-", "access-control-"))]


async def test_behind_a_front_only_the_front_judges_origins(start: Start) -> None:
    async with start(place="behind") as running:
        more = head(Sec_Fetch_Site="same-origin", Origin="https://app.example")
        answer = await sent(running.port, host="llm.example", more=more)
        assert (answer.status, allowed(answer)) == (200, "")


async def test_origins_are_in_force_without_a_restart(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "gateway.json"
    async with start(file=file) as running:
        assert (await sent(running.port, more=head(Origin=APP))).status == 403
        told = json.loads(file.read_text())
        new = tmp_path / "new"
        new.write_text(json.dumps({**told, **LISTED}))
        new.replace(file)
        await until(lambda: b"larder_config_reloads_total 1" in running.metrics.text(), "the file to be taken")
        assert (await sent(running.port, more=head(Origin=APP))).status == 200


WRONG = [
    ("https://app.example/", "no path"),
    ("https://app.example/a", "no path"),
    ("app.example", "scheme"),
    ("null", "null"),
    ("https://", "host"),
    ("https://*", "host"),
    ("https://*.example", "two labels"),
    ("https://a.*.example", "host"),
    ("https://*.1.2.3.4", "host"),
    ("https://app.example:99999", "port"),
    ("https://user@app.example", "host"),
    ("https://app.example:*1", "port"),
    ("https://app example", "host"),
    ("javascript:alert", "scheme"),
    ("", "scheme"),
]


@pytest.mark.parametrize(("origin", "says"), WRONG)
def test_an_origin_that_no_browser_would_send_is_refused_in_the_file(origin: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Cors(origins=[origin])


@pytest.mark.parametrize(
    ("origin", "means"),
    [
        ("https://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://127.0.0.1:*", "http://127.0.0.1:*"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("tauri://localhost", "tauri://localhost"),
        ("app://*", "app://*"),
        ("file://*", "file://*"),
    ],
)
def test_an_origin_is_normalized_as_browsers_write_it(origin: str, means: str) -> None:
    assert Cors(origins=[origin]).origins == [means]


def test_a_star_stands_alone_and_needs_protected_changes() -> None:
    with pytest.raises(ValidationError, match="already means"):
        Cors(origins=["*", APP])
    file = {"engines": [{"kind": "ollama", "url": "http://e"}], "models": [{"id": "a", "engine-name": "a"}]}
    with pytest.raises(ValidationError, match="any web page"):
        GatewayConfig.model_validate({**file, "cors": {"origins": ["*"]}, "auth": {"mutations": "open"}})


SPELLED = [
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF-8",
    "application/json ;x=y",
]
OTHER = [
    "",
    "Content-Type: text/plain;charset=UTF-8\r\n",
    "Content-Type: application/x-www-form-urlencoded\r\n",
    "Content-Type: multipart/form-data; boundary=x\r\n",
    "Content-Type: application/jsonx\r\n",
    "Content-Type: text/plain; application/json\r\n",
    "Content-Type:\r\n",
    "Content-Type: text/plain\r\nContent-Type: application/json\r\n",
]


@pytest.mark.parametrize("word", ["preload", "unload", "pin"])
@pytest.mark.parametrize("mutations", ["open", "token"])
async def test_a_change_must_be_declared_as_json(start: Start, tmp_path: Path, mutations: str, word: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    auth = {"mutations": mutations, "token-file": str(tmp_path / "token")}
    bearer = f"Authorization: Bearer {TOKEN}\r\n"
    async with start(auth=auth, residency={"max-models": 2}) as running:
        for more in OTHER:
            answer = await sent(running.port, path=f"/api/llm/{word}", body=b'{"model":"tiny"}', more=bearer + more)
            assert (answer.status, answer.code) == (415, "json_wanted")
        for spelled in SPELLED:
            answer = await sent(
                running.port, path=f"/api/llm/{word}", body=b"{}", more=f"{bearer}Content-Type: {spelled}\r\n"
            )
            assert (answer.status, answer.code) == (400, "bad_body")


@pytest.mark.parametrize("mutations", ["open", "token"])
async def test_a_pull_must_be_declared_as_json(start: Start, engine: Engine, tmp_path: Path, mutations: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    auth = {"mutations": mutations, "token-file": str(tmp_path / "token")}
    engines = [{"kind": "llama-server", "url": engine.url}]
    pulls = {"folder": str(tmp_path), "endpoint": "http://127.0.0.1:1"}
    bearer = f"Authorization: Bearer {TOKEN}\r\n"
    async with start(auth=auth, engines=engines, pulls=pulls) as running:
        for more in OTHER:
            body = b'{"model":"org/a","filename":"a.gguf"}'
            answer = await sent(running.port, path="/v1/api/pull", body=body, more=bearer + more)
            assert (answer.status, answer.json()["status"]) == (415, "error")
        for spelled in SPELLED:
            more = f"{bearer}Content-Type: {spelled}\r\n"
            assert (await sent(running.port, path="/v1/api/pull", body=b"{}", more=more)).status == 400
