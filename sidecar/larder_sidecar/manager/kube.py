"""Client of Kubernetes' API server, with the calls that one InferenceService needs."""

import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import urllib3

from ..config.manager import ApiServer

SECONDS = urllib3.Timeout(connect=5, read=30)
FIELD_MANAGER = "larder-manager"
"""Owner of our fields in server-side apply: another manager's fields are never taken over silently."""
_SHOWN = 500
_MOST = 16 * 2**20

Object = Mapping[str, Any]


class ApiError(Exception):
    """The error for a refusal of the API server, or a failure to reach it."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        """HTTP status; 0 where there was no answer."""
        super().__init__(message)


class KubeApi:
    """Blocking client, for use in a thread."""

    def __init__(self, settings: ApiServer) -> None:
        """Read the CA. Raises ApiError."""
        self._settings = settings
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
        except (OSError, ssl.SSLError) as reason:
            msg = f"api.ca-file: {settings.ca_file}: {reason.strerror or 'contains no certificate'}"
            raise ApiError(0, msg) from None
        self._pool = urllib3.PoolManager(ssl_context=context, timeout=SECONDS, retries=False, maxsize=4)

    def get(self, path: str, **query: str) -> Object:
        """Return the object or list at a path. Raises ApiError."""
        return self._ask("GET", path, query)

    def apply(self, path: str, content: Object) -> Object:
        """Apply server-side, without forcing conflicts; return the object. Raises ApiError."""
        return self._ask("PATCH", path, {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}, content)

    def _ask(self, method: str, path: str, query: Mapping[str, str], content: Object | None = None) -> Object:
        headers = {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"  # JSON is YAML
        url = f"{self._settings.url}{path}{'?' + urlencode(query) if query else ''}"
        body = None if content is None else json.dumps(content)
        try:
            answer = self._pool.request(method, url, body=body, headers=headers, preload_content=False, redirect=False)
            try:
                data = answer.read(_MOST)
            finally:
                answer.release_conn()
        except urllib3.exceptions.SSLError:
            msg = f"{self._settings.url}: its certificate is not signed by a CA in {self._settings.ca_file}"
            raise ApiError(0, msg) from None
        except urllib3.exceptions.HTTPError as reason:
            msg = f"{self._settings.url}: the API server does not answer ({type(reason).__name__})"
            raise ApiError(0, msg) from None
        if answer.status not in (200, 201):
            raise ApiError(answer.status, _message(data) or f"the API server answers {answer.status}")
        try:
            found: Any = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not _is_object(found):
            msg = f"{self._settings.url} does not answer with an object. Fix: check that it is an API server"
            raise ApiError(0, msg)
        answered: Object = found
        return answered

    def _token(self) -> str:
        try:
            token = self._settings.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            token = ""
        if not token.isprintable() or not token:
            msg = f"api.token-file: {self._settings.token_file} contains no token of a ServiceAccount"
            raise ApiError(0, msg)
        return token


def _is_object(found: object) -> bool:
    about = found.get("metadata", {}) if isinstance(found, dict) else None
    return isinstance(about, dict) and isinstance(about.get("generation", 0), int)


def _message(data: bytes) -> str:
    """Return the message of a Status object, or the text in its place, in one line."""
    text = data.decode(errors="replace")
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        status = None
    said = str(status["message"]) if isinstance(status, dict) and "message" in status else text
    return " ".join(said.split())[:_SHOWN]
