"""Who we are to a registry: nobody, a bearer token, or a user whose password buys one where the registry says.

A registry that wants a token answers 401 and names the place that gives one (the distribution project's token
authentication); Docker Hub does so for whoever reads, too.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from .errors import DeniedError, RedirectError
from .web import check_redirect, shown

LARGEST = 64 << 10
"""Bytes of an answer with a token."""
Ask = Callable[[str, dict[str, str]], tuple[int, bytes]]
"""Status and at most LARGEST bytes of the answer to a GET of a URL with headers. Raises HubError."""
_PART = re.compile(r'(\w+)="([^"]*)"')
_TOKEN = re.compile(r"[!-~]{1,16384}")


@dataclass
class Login:
    """Credentials for one registry, and the tokens that they bought, by repository. None of it is ever printed."""

    token: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    """user:password, as of a robot account."""
    remedy: str = "Pass --credentials-file."
    """What to do where a registry gives nobody a token."""
    _bought: dict[str, str] = field(default_factory=dict, repr=False)

    def header(self, repository: str) -> dict[str, str]:
        """What to send along with a request about `repository`."""
        value = f"Bearer {self.token}" if self.token else self._bought.get(repository)
        return {"Authorization": value} if value else {}

    def renew(self, repository: str, registry: str, challenge: str, ask: Ask, sent: Mapping[str, str]) -> bool:
        """Do what a 401 asks for; False where nothing would be new to who had `sent` a header already.

        `registry` is the URL that answered. Raises HubError.
        """
        kind, _, rest = challenge.partition(" ")
        parts = dict(_PART.findall(rest))
        if self.token:
            return False
        if kind.lower() == "basic" and self.password:
            self._bought[repository] = self._basic()
        elif kind.lower() == "bearer" and "realm" in parts:
            self._bought[repository] = f"Bearer {self._buy(registry, parts, ask)}"
        return self.header(repository) != sent

    def _basic(self) -> str:
        return f"Basic {base64.b64encode((self.password or '').encode()).decode()}"

    def _buy(self, registry: str, parts: dict[str, str], ask: Ask) -> str:
        realm = parts["realm"]
        if not urlsplit(realm).hostname:
            raise RedirectError(f"{shown(registry)} names no place that gives tokens", "Check the registry's name.")
        check_redirect(registry, realm)
        wanted = [(key, value) for key in ("service", "scope") for value in _values(key, parts)]
        url = f"{realm}{'&' if '?' in realm else '?'}{urlencode(wanted)}"
        status, answer = ask(url, {"Authorization": self._basic()} if self.password else {})
        try:
            said = json.loads(answer) if status == 200 else {}
            token = said.get("token") or said.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise DeniedError(
                f"{shown(realm)}: gives no token ({status})",
                "Check user and password in --credentials-file." if self.password else self.remedy,
            )
        return token


def _values(key: str, parts: dict[str, str]) -> list[str]:
    # Several scopes come as one value, separated by blanks, and are asked for one by one.
    text = parts.get(key, "")
    return text.split() if key == "scope" else [text] if text else []
