"""Logins at a registry: none, a token, or a password that buys a token."""

import base64
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from larder_sidecar.cli import main
from larder_sidecar.weights.client.login import Login
from larder_sidecar.weights.errors import DeniedError, RedirectError
from larder_sidecar.weights.publish.layer import Descriptor
from larder_sidecar.weights.publish.registry import Registry

from tests.sidecar.weights.kitchen import Kitchen
from tests.sidecar.weights.registries import SmallRegistry

USER = "robot$team+larder:hunter2"
BASIC = f"Basic {base64.b64encode(USER.encode()).decode()}"
REGISTRY = "https://registry.example/v2/team/x/blobs/uploads/"
CHALLENGE = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:team/x:pull,push"'

SCOPE = "repository:team/x:pull"


class Office:
    """Gives tokens, and keeps what it was asked."""

    def __init__(self, status: int = 200, body: bytes = b'{"token": "abc"}') -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._status, self._body = status, body

    def __call__(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append((url, headers))
        return self._status, self._body


@pytest.mark.parametrize(("password", "sent"), [(USER, {"Authorization": BASIC}), (None, {})], ids=["user", "nobody"])
def test_a_token_is_bought_where_the_registry_says(password: str | None, sent: dict[str, str]) -> None:
    login, office = Login(password=password), Office()
    assert login.header("team/x") == {}
    assert login.renew("team/x", REGISTRY, [CHALLENGE], office, {}, SCOPE)
    assert office.asked == [
        ("https://auth.example/token?service=registry&scope=repository%3Ateam%2Fx%3Apull%2Cpush", sent)
    ]
    assert login.header("team/x") == {"Authorization": "Bearer abc"}
    assert login.header("team/y") == {}
    same = login.header("team/x")
    assert not login.renew(
        "team/x", REGISTRY, [CHALLENGE], office, same, SCOPE
    )  # the same token again: it is not good enough
    old = {"Authorization": "Bearer old"}
    assert login.renew("team/x", REGISTRY, [CHALLENGE], office, old, SCOPE)  # new to who had sent another


TOKENS = 'Bearer realm="https://auth.example/token"'
OFFERED: dict[str, tuple[list[str], str]] = {
    "a token, then a password": ([TOKENS, 'Basic realm="Registry"'], "Bearer abc"),
    "a password, then a token": (['Basic realm="Registry"', TOKENS], "Bearer abc"),
    "in one line": ([f'Negotiate, Basic realm="Registry", {TOKENS}'], "Bearer abc"),
    "what we cannot do, then a password": (['Negotiate YII=, Digest realm="r", nonce="n"', "Basic realm=x"], BASIC),
    "a token of no place, then a password": (['Bearer realm="Registry"', "Basic"], BASIC),
    "a realm with blanks": (['Bearer realm=" https://auth.example/token "'], "Bearer abc"),
    "a token of no place, then of one": (['Bearer realm="Registry"', TOKENS], "Bearer abc"),
    "an error that looks like a realm": (
        ['Bearer error="x, realm=y", realm="https://auth.example/token"'],
        "Bearer abc",
    ),
}


@pytest.mark.parametrize(("lines", "header"), OFFERED.values(), ids=OFFERED.keys())
def test_of_several_challenges_one_that_can_be_met_is(lines: list[str], header: str) -> None:
    login = Login(password=USER)
    assert login.renew("team/x", REGISTRY, lines, Office(), {}, SCOPE)
    assert login.header("team/x") == {"Authorization": header}


@pytest.mark.parametrize("lines", [[], ["Negotiate"], ["Basic realm=x"], ['Digest realm="r"']])
def test_nobody_meets_no_challenge_without_credentials(lines: list[str]) -> None:
    assert not Login().renew("team/x", REGISTRY, lines, Office(), {}, SCOPE)


@pytest.mark.parametrize("realm", ["/token", "/token?account=x", "//auth.example/token"])
def test_a_relative_realm_is_the_registrys(realm: str) -> None:
    office = Office()
    assert Login().renew("team/x", REGISTRY, [f'Bearer realm="{realm}",scope=s'], office, {}, SCOPE)
    host = "auth.example" if "//" in realm else "registry.example"
    more = "?account=x&" if "?" in realm else "?"
    assert office.asked == [(f"https://{host}/token{more}scope=s", {})]


def test_a_challenge_without_a_scope_gets_the_one_that_is_needed() -> None:
    office = Office()
    Login().renew("team/x", REGISTRY, [TOKENS], office, {}, SCOPE)
    assert office.asked[0][0] == "https://auth.example/token?scope=repository%3Ateam%2Fx%3Apull"


def test_several_scopes_are_asked_for_one_by_one() -> None:
    office = Office(body=b'{"access_token": "abc"}')
    Login().renew(
        "team/x", REGISTRY, ['Bearer realm="https://auth.example/token",scope="a:b:pull c:d:pull"'], office, {}, SCOPE
    )
    assert office.asked[0][0] == "https://auth.example/token?scope=a%3Ab%3Apull&scope=c%3Ad%3Apull"


def test_a_registry_that_wants_the_password_itself_gets_it() -> None:
    login = Login(password=USER)
    assert login.renew("team/x", REGISTRY, ['Basic realm="x"'], Office(), {}, SCOPE)
    assert login.header("team/x") == {"Authorization": BASIC}


def test_a_token_that_was_given_is_never_exchanged() -> None:
    login, office = Login(token="mine", password=USER), Office()
    assert not login.renew("team/x", REGISTRY, [CHALLENGE], office, login.header("team/x"), SCOPE)
    assert (office.asked, login.header("team/x")) == ([], {"Authorization": "Bearer mine"})


@pytest.mark.parametrize(
    "realm",
    [
        *(
            "http://auth.example/token",
            "token",
            "Registry",
            "ftp://x/y",
            "",
            "//",
            "https:///",
            "https:",
            "file:///token",
        ),
        *("https://auth.example\\@registry.example/token", "https://registry.example@auth.example/token"),
        *("https://auth.example:0/token", "https://auth.example:99999/token", "https://auth.example\t/token"),
        *("https://auth .example/token", "https://äuth.example/token", "https://%61uth.example/token"),
    ],
)
def test_a_password_goes_to_no_place_that_weakens_it(realm: str) -> None:
    office = Office()
    with pytest.raises(RedirectError):
        Login(password=USER).renew("team/x", REGISTRY, [f'Bearer realm="{realm}"'], office, {}, SCOPE)
    assert office.asked == []


@pytest.mark.parametrize(
    ("status", "body"), [(401, b"{}"), (200, b"{}"), (200, b"hunter2"), (200, b'{"token": "a b"}')]
)
def test_no_token_is_one_line_that_holds_no_secret(status: int, body: bytes) -> None:
    with pytest.raises(
        DeniedError, match=r"auth\.example/token: the token service gives no token .*--credentials-file"
    ) as caught:
        Login(password=USER).renew("team/x", REGISTRY, [CHALLENGE], Office(status, body), {}, SCOPE)
    assert "hunter2" not in str(caught.value)


def test_credentials_are_not_in_what_is_printed_of_them() -> None:
    login = Login(token="mine", password=USER)
    login.renew("team/x", REGISTRY, ['Basic realm="x"'], Office(), {}, SCOPE)
    assert not {"mine", "hunter2"} & set(re.findall(r"\w+", repr(login)))


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallRegistry]:
    """A registry with TLS that gives a token to one user, and wants it for everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with SmallRegistry(context).running() as registry:
        registry.wants, registry.tokens = "Bearer abc", {BASIC: "abc"}
        registry.challenge = f'Bearer realm="https://{registry.host}/token",scope="repository:w/tiny:pull,push"'
        yield registry


@pytest.mark.parametrize(
    ("option", "content", "status"),
    [
        ("--credentials-file", USER, 0),
        ("--token-file", "abc", 0),
        ("--credentials-file", USER + "x", 1),
        ("--token-file", "hunter2", 1),
    ],
    ids=["user", "token", "wrong password", "wrong token"],
)
def test_the_command_pushes_as_who_it_is_told_and_never_says_by_what_secret(
    kitchen: Kitchen, secure: SmallRegistry, capfd: Any, option: str, content: str, status: int
) -> None:
    kitchen.publish()
    files = {"weights.json": kitchen.plan(kitchen.hub()).to_json(), "secret": content}
    for name, text in files.items():
        (kitchen.folder / name).write_text(text)
    words = ["publish", "--config", str(kitchen.folder / "weights.json"), "--root", str(kitchen.root)]
    assert main([*words, "--to", f"{secure.host}/w", option, str(kitchen.folder / "secret")]) == status
    said = "".join(capfd.readouterr())
    assert ("access denied by the registry (401" in said or "gives no token (401)" in said) is (status == 1)
    assert "hunter2" not in said
    assert any("/manifests/" in path for path in secure.stored) is (status == 0)


@pytest.mark.parametrize("shy", [False, True], ids=["everywhere", "at /v2/ alone"])
@pytest.mark.parametrize("locked", [401, 403])
@pytest.mark.parametrize("challenge", ["token", "Basic realm=x", "", ","])
def test_a_registry_is_logged_in_to_however_it_says_that_it_must_be(
    secure: SmallRegistry, locked: int, shy: bool, challenge: str
) -> None:
    secure.locked, secure.shy = locked, shy
    if challenge != "token":
        secure.challenge, secure.wants = challenge, BASIC
    content = b"content"
    digest = secure.put("w/tiny", content)
    with Registry(secure.host, login=Login(password=USER)) as registry:
        assert b"".join(registry.blob("w/tiny", Descriptor("x", digest, len(content)))) == content
        registry.start("w/tiny")
    assert secure.asked("GET").count("/v2/") <= 1


@pytest.mark.parametrize("half", ['Bearer error="invalid_token"', "Bearer", "Negotiate", 'Digest realm="x"'])
def test_a_challenge_that_leads_nowhere_is_asked_for_at_the_front_door(secure: SmallRegistry, half: str) -> None:
    secure.half = half
    with Registry(secure.host, login=Login(password=USER)) as registry:
        registry.start("w/tiny")


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("body", [b'{"token": "abc\\n"}', b'{"token": "", "access_token": "abc"}'])
def test_a_token_is_taken_as_token_services_give_it(status: int, body: bytes) -> None:
    login = Login()
    login.renew("team/x", REGISTRY, [CHALLENGE], Office(status, body), {}, SCOPE)
    assert login.header("team/x") == {"Authorization": "Bearer abc"}


@pytest.mark.parametrize("port", [True, False])
def test_a_registry_behind_a_proxy_that_ends_tls_may_call_itself_http(secure: SmallRegistry, port: bool) -> None:
    name = secure.host if port else secure.host.partition(":")[0]
    secure.challenge = f'Bearer realm="http://{name}/token"'
    secure.locations = f"http://{name}"
    with Registry(secure.host, login=Login(password=USER)) as registry:
        assert registry.start("w/tiny").startswith(f"https://{secure.host}/v2/w/tiny/blobs/uploads/")
    assert BASIC in [headers.get("Authorization") for headers in secure.headers]


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        ("hunter2", [], "no user:password is in the file"),
        (USER, ["--plain-http"], "--credentials-file with --plain-http"),
        (USER, ["--token-file"], "Remove one"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused(
    tmp_path: Path, content: str, more: list[str], words: str, capsys: Any
) -> None:
    (tmp_path / "file").write_text(content)
    words_of = ["publish", "--to", "registry.example/w", "--credentials-file", str(tmp_path / "file"), *more]
    assert main([*words_of, *([str(tmp_path / "file")] if more == ["--token-file"] else [])]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "hunter2" not in error
