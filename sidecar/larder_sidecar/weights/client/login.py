"""The login of a registry: a bearer token, or a user whose password buys one where the registry says.

A registry that wants a token answers 401 and names the place that gives one (the distribution project's token
authentication); Docker Hub does so for clients that only read, too.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from ...config.url import UrlError
from ..errors import DeniedError, RedirectError
from .address import Address, check_tls, keep_tls, redact_url, require_address, resolve_reference
from .challenge import Challenge, parse_challenges
from .server_message import read_message

MAX_TOKEN_ANSWER = 64 << 10
"""Bytes of a token service's answer."""
Ask = Callable[[str, dict[str, str]], tuple[int, bytes]]
"""Sends a GET to a URL that the registry named; returns the status and at most MAX_TOKEN_ANSWER bytes of the answer.

Raises HubError.
"""
_DONE = {200, 201, 202}
_TOKEN = re.compile(r"[!-~]{1,16384}")


@dataclass
class Login:
    """Credentials for one registry, and the tokens that they bought, by repository. They are never printed."""

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    """User and password, as in `user:password` of a robot account."""
    remedy: str = "Pass --credentials-file."
    """Remedy for a registry that gives no token without credentials."""
    front_door: list[str] | None = field(default=None, repr=False)
    """Challenges of /v2/, once they were asked for: some registries explain the login there only."""
    _authorizations: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def secret(self) -> bool:
        """Return False for a login without credentials: its tokens are public."""
        return bool(self.token or self.password)

    def header(self, repository: str) -> dict[str, str]:
        """Return the header for requests about `repository`."""
        value = f"Bearer {self.token}" if self.token else self._authorizations.get(repository)
        return {"Authorization": value} if value else {}

    def secrets(self) -> list[str]:
        """Return the texts that no message may repeat."""
        given = [it for it in (self.token, self.password, (self.password or "").partition(":")[2]) if it]
        return [*given, *(value.partition(" ")[2] for value in self._authorizations.values())]

    def renew(
        self,
        repository: str,
        registry: str,
        lines: Iterable[str],
        ask: Ask,
        sent: Mapping[str, str],
        scope: str,
    ) -> bool:
        """Log in by one of the challenges in the WWW-Authenticate `lines` of an answer.

        Returns False if the header is the one that was `sent`. `registry` is the URL that answered; `scope` is the
        right that a token must have if the challenge names none. Raises HubError.
        """
        if self.token:
            return False
        found = parse_challenges(lines)
        bearers = [it for it in found if it.scheme == "bearer"]
        if place := next((place for it in bearers if (place := _token_address(registry, it))), None):
            self._authorizations[repository] = f"Bearer {self._request_token(registry, *place, scope, ask)}"
        elif self.password and any(it.scheme == "basic" for it in found):
            self._authorizations[repository] = self._basic()
        elif bearers:
            raise RedirectError(
                f"{redact_url(registry)} asks for a token, and its realm is not the URL of a token service: "
                f"{bearers[0].parameters.get('realm', '')[:100]!r}",
                "Check the registry's name.",
            )
        return self.header(repository) != sent

    def _basic(self) -> str:
        return f"Basic {base64.b64encode((self.password or '').encode()).decode()}"

    def _request_token(self, registry: str, place: Address, parts: Mapping[str, str], scope: str, ask: Ask) -> str:
        check_tls(require_address(registry), place)
        realm = place.url
        # Several scopes come as one value, separated by blanks, and are asked for one by one.
        scopes = parts.get("scope", "").split() or [scope]
        wanted = [("service", parts["service"])] if parts.get("service") else []
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted + [('scope', it) for it in scopes])}"
        status, answer = ask(url, {"Authorization": self._basic()} if self.password else {})
        try:
            document = json.loads(answer) if status in _DONE else {}
            token = str(document.get("token") or document.get("access_token") or "").strip()
        except (ValueError, AttributeError, RecursionError):
            token = ""
        if not _TOKEN.fullmatch(token):
            message = read_message({}, answer, hide=self.secrets()) if status not in _DONE else ""
            raise DeniedError(
                f"{redact_url(realm)}: the token service gives no token ({status}){message and f': {message}'}",
                "Check user and password in --credentials-file." if self.password else self.remedy,
            )
        return token


def is_answerable(lines: Iterable[str]) -> bool:
    """Return True if one of the challenges says enough to log in."""
    return any(
        it.scheme == "basic" or (it.scheme == "bearer" and "realm" in it.parameters) for it in parse_challenges(lines)
    )


def _token_address(registry: str, challenge: Challenge) -> tuple[Address, Mapping[str, str]] | None:
    """Return the token service's address, which may be relative to the registry's, and the challenge's parameters."""
    realm = challenge.parameters.get("realm", "").strip()
    if not re.match(r"(https?:)?//[^/]|/(?!/)", realm, re.IGNORECASE):
        return None
    try:
        home = require_address(registry)
        return keep_tls(home, resolve_reference(home, realm)), challenge.parameters
    except UrlError:
        return None
