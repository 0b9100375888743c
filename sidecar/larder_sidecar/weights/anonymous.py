"""The token that registries give to anybody who asks, by the challenge with which they refuse who did not.

Docker's token authentication, as OCI registries have it: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from .errors import DeniedError
from .web import Web, check_redirect, shown

_PARAMETER = re.compile(r'([A-Za-z_]+)="([^"]*)"')
_LARGEST = 64 << 10
"""Bytes of an answer with a token."""


def token(challenge: str, asked: str, web: Web) -> str:
    """The token for the URL `asked`, whose answer was 401 with `challenge`. Raises HubError."""
    scheme, _, rest = challenge.partition(" ")
    told = dict(_PARAMETER.findall(rest))
    if scheme.casefold() != "bearer" or not urlsplit(told.get("realm", "")).hostname:
        raise _denied(asked, "the registry wants credentials and names no place that gives tokens to anybody")
    # The registry chooses whom we ask: by the same rules as for a redirect.
    check_redirect(asked, told["realm"])
    query = urlencode({key: told[key] for key in ("service", "scope") if key in told})
    parts = urlsplit(told["realm"])
    url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))
    with web.ask("GET", url, {}, follow_to_others=False) as response:
        if response.status != 200:
            raise _denied(asked, f"{shown(url)} gives no token to anybody ({response.status})")
        given = _read(response.read(_LARGEST))
    if given is None:
        raise _denied(asked, f"{shown(url)} answers without a token")
    return given


def _read(answer: bytes) -> str | None:
    try:
        told = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    given = (told.get("token") or told.get("access_token")) if isinstance(told, Mapping) else None
    return given if isinstance(given, str) and re.fullmatch(r"[!-~]{1,16384}", given) else None


def _denied(asked: str, reason: str) -> DeniedError:
    return DeniedError(f"{shown(asked)}: {reason}", "Make the artifact public: only what anybody may pull is fetched.")
