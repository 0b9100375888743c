"""The authentication of requests: credentials for one host, and what follows when that host refuses them.

    Auth              anonymous requests
    ├── HubAuth       a bearer token
    └── RegistryAuth  a bearer token, or a user whose password buys one where the registry says

The client asks an `Auth` for credentials, shows it an answer that refuses them, and repeats the request if the `Auth`
has got others, for which it may send requests of its own.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import urllib3

from .address import Address
from .challenge import parse_challenges
from .login import MAX_TOKEN_ANSWER, Login, is_answerable
from .refusal import raise_if_busy, read_start

Aside = Callable[[str, Mapping[str, str]], AbstractContextManager[urllib3.BaseHTTPResponse]]
"""Sends a GET with headers to a URL that the server named, and yields the answer. Raises HubError."""


@dataclass(frozen=True)
class Auth:
    """Authentication of anonymous requests, and the base of the others.

    Credentials go to `home` alone, also where it goes over to TLS. `name` is what errors call it.
    """

    home: Address | None = None
    name: str = ""

    @property
    def secret(self) -> bool:
        """Return True for secret credentials: in clear text they stay within our own network."""
        return True

    def credentials(self) -> Mapping[str, str]:
        """Return the headers to send along."""
        return {}

    def renew(self, method: str, response: urllib3.BaseHTTPResponse, sent: Mapping[str, str], ask: Aside) -> bool:
        """Get other credentials than `sent`, as a refusal of `home` says; False if there are none.

        Raises HubError.
        """
        del method, response, sent, ask
        return False


ANONYMOUS = Auth()


@dataclass(frozen=True)
class HubAuth(Auth):
    """The token of a hub, if there is one."""

    token: str | None = field(default=None, repr=False)

    def credentials(self) -> Mapping[str, str]:
        """Return the token as a header."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True)
class RegistryAuth(Auth):
    """The login of a registry, for requests about one repository of it. `home` is the address of its API, /v2/."""

    home: Address
    repository: str = ""
    login: Login = field(default_factory=Login)

    @property
    def secret(self) -> bool:
        """Return True for a login with a token or a password."""
        return self.login.secret

    def credentials(self) -> Mapping[str, str]:
        """Return the header with a token, or with the password if the registry wants that."""
        return self.login.header(self.repository)

    def renew(self, method: str, response: urllib3.BaseHTTPResponse, sent: Mapping[str, str], ask: Aside) -> bool:
        """Log in as the answer says, or as /v2/ says if the answer does not explain it."""
        lines = _challenges(response)
        if not is_answerable(lines) and (response.status == 401 or not sent):
            lines = self._front_door_challenges(ask) or lines or ["Basic"]
        scope = f"repository:{self.repository}:{'pull' if method in {'GET', 'HEAD'} else 'pull,push'}"

        def request_token(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
            with ask(url, headers) as answer:
                raise_if_busy(answer, url, "the token service")
                return answer.status, answer.read(MAX_TOKEN_ANSWER)

        return self.login.renew(self.repository, response.url or self.home.url, lines, request_token, sent, scope)

    def _front_door_challenges(self, ask: Aside) -> list[str]:
        if self.login.front_door is None:
            with ask(self.home.url, {}) as answer:
                self.login.front_door = _challenges(answer)
                read_start(answer)  # so that its connection can be kept
        return self.login.front_door


def _challenges(response: urllib3.BaseHTTPResponse) -> list[str]:
    return [line for line in response.headers.getlist("WWW-Authenticate") if parse_challenges([line])]
