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
from .address import Address, check_tls, meant, named, over_tls, shown
from .challenge import Challenge, challenges
from .server_words import said

LARGEST = 64 << 10
"""Bytes of an answer with a token."""
Ask = Callable[[str, dict[str, str]], tuple[int, bytes]]
"""Status and at most LARGEST bytes of the answer to a GET of a URL that the registry named. Raises HubError."""
_DONE = {200, 201, 202}
_TOKEN = re.compile(r"[!-~]{1,16384}")


@dataclass
class Login:
    """Credentials for one registry, and the tokens that they bought, by repository. None of it is ever printed."""

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    """user:password, as of a robot account."""
    remedy: str = "Pass --credentials-file."
    """What to do where a registry gives nobody a token."""
    front_door: list[str] | None = field(default=None, repr=False)
    """The challenges of /v2/, once they were asked for: some registries name the way in there alone."""
    _bought: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def secret(self) -> bool:
        """Return False for the login of nobody: what it buys, anybody may have."""
        return bool(self.token or self.password)

    def header(self, repository: str) -> dict[str, str]:
        """What to send along with a request about `repository`."""
        value = f"Bearer {self.token}" if self.token else self._bought.get(repository)
        return {"Authorization": value} if value else {}

    def secrets(self) -> list[str]:
        """All that no message may repeat."""
        given = [it for it in (self.token, self.password, (self.password or "").partition(":")[2]) if it]
        return [*given, *(value.partition(" ")[2] for value in self._bought.values())]

    def renew(
        self,
        repository: str,
        registry: str,
        lines: Iterable[str],
        ask: Ask,
        sent: Mapping[str, str],
        scope: str,
    ) -> bool:
        """Log in by one of the challenges that an answer's WWW-Authenticate `lines` hold.

        Returns False where that gives nothing new to a client that `sent` a header already. `registry` is the URL
        that answered, `scope` is what a token must allow where the challenge does not say it. Raises HubError.
        """
        if self.token:
            return False
        found = challenges(lines)
        bearers = [it for it in found if it.scheme == "bearer"]
        if place := next((place for it in bearers if (place := _place(registry, it))), None):
            self._bought[repository] = f"Bearer {self._buy(registry, *place, scope, ask)}"
        elif self.password and any(it.scheme == "basic" for it in found):
            self._bought[repository] = self._basic()
        elif bearers:
            raise RedirectError(
                f"{shown(registry)} asks for a token and names no place that gives tokens: realm "
                f"{bearers[0].parameters.get('realm', '')[:100]!r}",
                "Check the registry's name; a realm is the URL of a token service.",
            )
        return self.header(repository) != sent

    def _basic(self) -> str:
        return f"Basic {base64.b64encode((self.password or '').encode()).decode()}"

    def _buy(self, registry: str, place: Address, parts: Mapping[str, str], scope: str, ask: Ask) -> str:
        check_tls(named(registry), place)
        realm = place.url
        # Several scopes come as one value, separated by blanks, and are asked for one by one.
        scopes = parts.get("scope", "").split() or [scope]
        wanted = [("service", parts["service"])] if parts.get("service") else []
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted + [('scope', it) for it in scopes])}"
        status, answer = ask(url, {"Authorization": self._basic()} if self.password else {})
        try:
            told = json.loads(answer) if status in _DONE else {}
            token = str(told.get("token") or told.get("access_token") or "").strip()
        except (ValueError, AttributeError, RecursionError):
            token = ""
        if not _TOKEN.fullmatch(token):
            words = said({}, answer, hide=self.secrets()) if status not in _DONE else ""
            raise DeniedError(
                f"{shown(realm)}: gives no token ({status}){words and f': {words}'}",
                "Check user and password in --credentials-file." if self.password else self.remedy,
            )
        return token


def leads_in(lines: Iterable[str]) -> bool:
    """Return True if one of the challenges tells enough to log in by."""
    return any(it.scheme == "basic" or (it.scheme == "bearer" and "realm" in it.parameters) for it in challenges(lines))


def _place(registry: str, challenge: Challenge) -> tuple[Address, Mapping[str, str]] | None:
    """The address that gives tokens, which may be relative to the registry's, and the challenge's parameters."""
    realm = challenge.parameters.get("realm", "").strip()
    if not re.match(r"(https?:)?//[^/]|/(?!/)", realm, re.IGNORECASE):
        return None
    try:
        home = named(registry)
        return over_tls(home, meant(home, realm)), challenge.parameters
    except UrlError:
        return None
