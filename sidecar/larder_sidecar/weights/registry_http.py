"""The requests of one registry: its credentials, proxy and waits, and its refusals in our words."""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import urljoin

import urllib3

from . import proxy
from .errors import DeniedError, HubError, NotFoundError, RedirectError, TransientError
from .login import LARGEST, Login
from .web import CONNECT_SECONDS, USER_AGENT, check_redirect, explained, origin, shown, whole

TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_LOCKED = {401, 403}
"""403 too: there are registries that answer it to whoever has not logged in."""
Body = Iterable[bytes] | bytes | None


class RegistryHttp:
    """Requests to the registry at `host[:port]`. Credentials go to that host alone, and never in clear text.

    `stall_seconds`: silence that ends a request; a registry may take long to put away gigabytes it has just received.
    """

    def __init__(self, host: str, login: Login, *, plain_http: bool, stall_seconds: float) -> None:
        self.host = host
        self.base = f"{'http' if plain_http else 'https'}://{host}/v2/"
        self._login = Login() if plain_http else login
        self._timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=stall_seconds)
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._challenges: list[str] | None = None
        """The challenges of /v2/: some registries name the way in there alone."""

    def close(self) -> None:
        """Give the connections back."""
        for pool in self._pools.values():
            pool.clear()

    def location(self, answer: urllib3.BaseHTTPResponse, before: str) -> str:
        """Where an answer sends us on to; `before` is what was asked. Raises RedirectError."""
        try:
            location = urljoin(before, answer.headers.get("Location", before))
            origin(location)
        except ValueError:
            raise RedirectError(f"{shown(before)} names no place to go on at", "Check the registry's name.") from None
        check_redirect(before, location)
        return location

    def ask(
        self,
        method: str,
        url: str,
        repository: str,
        headers: dict[str, str] | None = None,
        body: Body = None,
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """One answer about `repository`, after a login where the registry asks for one. Raises HubError."""
        ours = origin(url) == origin(self.base)
        sent = self._login.header(repository) if ours else {}
        answer = self._once(method, url, (headers or {}) | sent, body, stream=stream)
        if answer.status not in _LOCKED or not ours or not self._renew(method, url, repository, answer, sent):
            return answer
        if isinstance(body, bytes | None):
            answer.drain_conn()
            return self._once(method, url, (headers or {}) | self._login.header(repository), body, stream=stream)
        raise TransientError(f"{self.host}/{repository}: the token ran out")  # and part of the body is gone

    def _renew(
        self, method: str, url: str, repository: str, answer: urllib3.BaseHTTPResponse, sent: Mapping[str, str]
    ) -> bool:
        """Log in as the answer asks, or as the registry's front door does where the answer does not say how."""
        lines = answer.headers.getlist("WWW-Authenticate")
        if not lines and (answer.status == 401 or not sent):
            lines = self._door()
        scope = f"repository:{repository}:{'pull' if method in {'GET', 'HEAD'} else 'pull,push'}"
        return self._login.renew(repository, url, lines, self._buy, sent, scope)

    def _door(self) -> list[str]:
        if self._challenges is None:
            self._challenges = self._once("GET", self.base, {}).headers.getlist("WWW-Authenticate") or ["Basic"]
        return self._challenges

    def _buy(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        with contextlib.closing(self._once("GET", url, headers, stream=True)) as answer, explained(url):
            return answer.status, answer.read(LARGEST)

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body = None,
        *,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        with explained(url):
            return self._pool(url).request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, **headers},
                body=body,
                redirect=False,
                retries=False,
                preload_content=not stream,
                timeout=self._timeout,
            )

    def _pool(self, url: str) -> urllib3.PoolManager:
        way = proxy.proxy_for(url)
        if way not in self._pools:
            self._pools[way] = proxy.connections(way)
        return self._pools[way]

    def refusal(self, answer: urllib3.BaseHTTPResponse, repository: str, *, reading: bool = False) -> HubError:
        """The error for an answer that is not what was asked for."""
        where, status, code = f"{self.host}/{repository}", answer.status, code_in(answer.data)
        why = f"{where}: the registry answers {status}{f' ({code})' if code else ''}"
        if status in TRANSIENT:
            return TransientError(why, wait=min(60, whole(answer.headers.get("Retry-After", "")) or 0))
        return proxy.denied(where) if status == 407 else _final(why, status, reading=reading)


def _final(why: str, status: int, *, reading: bool) -> HubError:
    if status in {401, 403}:
        may = "read" if reading else "push"
        return DeniedError(
            why, f"Pass credentials that may {may} there with --token-file or --credentials-file, not by --plain-http."
        )
    if status == 404:
        what = "image" if reading else "project"
        return NotFoundError(why, f"Check the registry's name and whether its {what} exists.")
    if status == 413:
        return HubError(why, "Something before the registry limits its requests: pass a smaller --chunk-size.")
    return HubError(why, "Check that this is a registry, and its limits.")


def code_in(body: bytes) -> str:
    """The word by which registries explain themselves; nothing where they do not."""
    try:
        code = str(json.loads(body)["errors"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    return code if re.fullmatch(r"[A-Z_]{1,64}", code) else ""
