"""The manager's HTTP API: the catalog, the active model, and the requests that change it."""

import asyncio
import difflib
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias
from urllib.parse import unquote

from pydantic import Field, ValidationError

from ..bearer import Token, TokenError
from ..catalog import CatalogEntry
from ..config.base import Model
from ..config.read import problems
from ..http.answer import RETRY_SOON, Answer, document, error
from ..http.answering import Answering
from ..http.application import Responder
from ..http.request import Request
from ..http.server import ServerConnection
from ..log import Log
from .activation import Activations, BusyError, FailedError, RefusedError
from .synced import Catalog, CatalogMissingError, SyncedCatalog

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Answer]]
_REALM = b'Bearer realm="larder-manager"'


class Activate(Model):
    """Body of POST /models/activate."""

    id: str = Field(min_length=1)


class Manager:
    """The application behind port 8080. Reading is open to every client of the port; changes need the token."""

    def __init__(self, catalog: SyncedCatalog, activations: Activations, token: Token, log: Log) -> None:
        self._catalog = catalog
        self._activations = activations
        self._token = token
        self._log = log
        self._routes: dict[str, tuple[str, Handler]] = {
            "/models": ("GET", self._list),
            "/active": ("GET", self._active),
            "/models/activate": ("POST", self._activate),
            "/models/deactivate": ("POST", self._deactivate),
        }

    # --- the protocol of an application

    request = Request

    def closing(self) -> bool:
        """Return False: connections are kept until the process ends."""
        return False

    def admit(self, request: Request) -> Answer | None:
        """Refuse by path, method and token, before a body is read."""
        method, _ = self._route(request.path)
        if not method:
            return error(404, "path_not_found", f"paths: {', '.join(self._routes)}, /models/<id>")
        if request.method != method and (request.method, method) != ("HEAD", "GET"):
            return error(
                405, "method_not_allowed", f"use {method} on this path", headers=((b"allow", method.encode()),)
            )
        return self._without_token(request) if method == "POST" else None

    def respond(self, request: Request, client: ServerConnection) -> Responder:
        """Start the answer; a change goes on in Activations when its client has gone."""
        _, handler = self._route(request.path)
        return Answering(handler(request), request, client)

    def finished(self, request: Request) -> None:
        """Write the line of the request."""
        self._log.request(request, b"-", request.seconds())

    def identify(self, request: Request) -> bytes:
        """Return `Cache-Control: no-store`: answers are about the current state."""
        del request
        return b"cache-control: no-store\r\n"

    # --- the paths

    def _route(self, path: str) -> tuple[str, Handler]:
        if path in self._routes:
            return self._routes[path]
        return ("GET" if path.startswith("/models/") else "", self._one)

    def _without_token(self, request: Request) -> Answer | None:
        given = [value for name, value in request.headers if name == b"authorization"]
        try:
            if self._token.admits(given):
                return None
        except TokenError as reason:  # the file was there at the start
            return error(503, "token_unreadable", str(reason), headers=RETRY_SOON)
        challenge = _REALM + (b', error="invalid_token"' if given else b"")
        message = "changes need `Authorization: Bearer <token>`, the token of Secret larder-api-token"
        return error(401, "unauthorized", message, headers=((b"www-authenticate", challenge),))

    async def _list(self, request: Request) -> Answer:
        del request
        try:
            catalog = await self._catalog.read()
        except CatalogMissingError as reason:
            return _no_catalog(reason)
        return await asyncio.to_thread(_list_catalog, catalog)

    async def _one(self, request: Request) -> Answer:
        try:
            catalog = await self._catalog.read()
        except CatalogMissingError as reason:
            return _no_catalog(reason)
        model = unquote(request.path.removeprefix("/models/"))
        entry = catalog.entries.get(model)
        if entry is None:
            return await asyncio.to_thread(_unknown, model, catalog)
        return document(entry.model_dump(mode="json", by_alias=True, exclude_none=True))

    async def _active(self, request: Request) -> Answer:
        del request
        try:
            return document(await self._activations.status())
        except RefusedError as reason:
            return _refused(reason)

    async def _activate(self, request: Request) -> Answer:
        if not request.is_json():
            return error(415, "not_json", 'send `Content-Type: application/json` and {"id": "<model>"}')
        try:
            wanted = Activate.from_json(request.body).id
            catalog = await self._catalog.read()
        except ValidationError as reason:
            return error(400, "bad_body", problems(reason), param="id")
        except CatalogMissingError as reason:
            return _no_catalog(reason)
        entry = catalog.entries.get(wanted)
        if entry is None:
            return await asyncio.to_thread(_unknown, wanted, catalog)
        return await self._answer_change(self._activations.activate(entry), lambda _: {"active": entry.id})

    async def _deactivate(self, request: Request) -> Answer:
        if request.body and not request.is_json():
            return error(415, "not_json", "send no body, or `Content-Type: application/json`")
        return await self._answer_change(self._activations.deactivate(), lambda model: {"active": None, "was": model})

    async def _answer_change(self, change: Coroutine[Any, Any, Any], told: Callable[[Any], dict[str, Any]]) -> Answer:
        try:
            return document(told(await change))
        except BusyError as reason:
            return error(409, "change_under_way", str(reason), headers=RETRY_SOON)
        except RefusedError as reason:
            return _refused(reason)
        except FailedError as reason:
            return error(502, "activation_failed", str(reason))


def _list_catalog(catalog: Catalog) -> Answer:
    return document(
        {
            "models": [_summary(entry) for entry in catalog.entries.values()],
            "wrong": [{"file": file, "reason": reason} for file, reason in catalog.wrong.items()],
            "catalog": {"commit": catalog.commit, "problem": catalog.problem},
        }
    )


def _summary(entry: CatalogEntry) -> dict[str, Any]:
    keys = {"id", "name", "aliases", "format", "quantization", "context", "license"}
    return {**entry.model_dump(mode="json", by_alias=True, include=keys), "bytes": entry.bytes}


def _unknown(model: str, catalog: Catalog) -> Answer:
    shown = json.dumps(model[:80])
    if (why := catalog.wrong.get(f"{model}.yaml")) is not None:
        return error(404, "model_not_found", f"the catalog entry of {shown} is invalid: {why}", param="id")
    near = difflib.get_close_matches(model[:80].casefold(), catalog.entries, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "GET /models lists the models"
    return error(404, "model_not_found", f"no model {shown} in the catalog; {hint}", param="id")


def _no_catalog(reason: CatalogMissingError) -> Answer:
    return error(503, "no_catalog", str(reason), headers=RETRY_SOON)


def _refused(reason: RefusedError) -> Answer:
    return error(reason.status, reason.code, str(reason), headers=RETRY_SOON if reason.status == 503 else ())


class Probes:
    """The application behind port 9090: /livez, and /readyz once a catalog has been read."""

    request = Request

    def __init__(self, catalog: SyncedCatalog) -> None:
        self._catalog = catalog

    def closing(self) -> bool:
        """Return False: probes keep their connections."""
        return False

    def admit(self, request: Request) -> Answer | None:
        """Refuse all but GET on two paths."""
        if request.path not in ("/livez", "/readyz") or request.method not in ("GET", "HEAD"):
            return error(404, "path_not_found", "GET /livez, GET /readyz")
        return None

    def respond(self, request: Request, client: ServerConnection) -> Responder:
        """Start the answer."""
        return Answering(self._ready() if request.path == "/readyz" else self._live(), request, client)

    def finished(self, request: Request) -> None:
        """Do nothing: probes are noise in a log."""

    def identify(self, request: Request) -> bytes:
        """Return no headers: these answers are for machines of the same cluster."""
        del request
        return b""

    async def _live(self) -> Answer:
        return document({"status": "ok"})

    async def _ready(self) -> Answer:
        try:
            catalog = await self._catalog.read()
        except CatalogMissingError as reason:
            return document({"ready": False, "catalog": str(reason)}, 503)
        return document({"ready": True, "catalog": catalog.problem or catalog.commit})
