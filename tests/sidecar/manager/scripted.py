"""An API server that knows one InferenceService and is scripted by a test.

Server-side apply, conflicts and RBAC are the real one's to show: tests/e2e/manager runs against it.
"""

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Status = dict[str, Any]
READY: Status = {"conditions": [{"type": "Ready", "status": "True"}]}
LOADING: Status = {"conditions": [{"type": "Ready", "status": "False", "reason": "Loading", "message": "40 %"}]}
STOPPED: Status = {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Stopped", "status": "True"}]}
INVALID: Status = {
    "modelStatus": {
        "transitionStatus": "InvalidSpec",
        "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "no runtime\nfound"},
    }
}


def becomes_ready(content: dict[str, Any]) -> Status:
    """Make every model ready."""
    return STOPPED if content["metadata"]["annotations"].get("serving.kserve.io/stop") else READY


class Cluster:
    """The scripted API server."""

    def __init__(self, certificate: Path) -> None:
        self.object: dict[str, Any] | None = None
        self.deleting: str | None = None
        """Its deletionTimestamp: it goes when its finalizers have run."""
        self.uid = "one"
        self.controller: Callable[[dict[str, Any]], Status | None] = becomes_ready
        """The status it gives to what was applied; None: it has not looked at it."""
        self.refusals: dict[str, tuple[int, bytes]] = {}
        """By method: answered with this instead."""
        self.lists: dict[str, list[dict[str, Any]]] = {"pods": [], "events": []}
        self.tokens: list[str] = []
        self.asked: list[str] = []
        self.gets = threading.Semaphore(0)
        """Released by each look at the object."""
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                cluster._answer(self, "GET")

            def do_PATCH(self) -> None:
                cluster._answer(self, "PATCH")

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, f"{certificate}.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Cluster":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serves(self) -> str | None:
        """Return the model that was applied last."""
        return str(self.object["metadata"]["annotations"]["larder/model"]) if self.object else None

    def _answer(self, request: BaseHTTPRequestHandler, method: str) -> None:
        self.tokens.append(request.headers["Authorization"])
        self.asked.append(f"{method} {request.path}")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        status, answer = self._decide(method, request.path, body)
        request.send_response(status)
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)
        if method == "GET":
            self.gets.release()

    def _decide(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if method in self.refusals:
            return self.refusals[method]
        kind = path.partition("?")[0].rpartition("/")[2]
        if kind in self.lists:
            return 200, json.dumps({"items": self.lists[kind]}).encode()
        if method == "PATCH":
            wanted = json.loads(body)
            known = self.object["metadata"]["generation"] if self.object else 0
            same = self.object is not None and self.object["spec"] == wanted["spec"]
            wanted["metadata"]["generation"] = known if same else known + 1
            self.object = wanted
        if self.object is None:
            return 404, b'{"kind": "Status", "message": "inferenceservices \\"active-llm\\" not found"}'
        status = self.controller(self.object)
        # Of what is stopped KServe 0.20 forgets which generation it has seen.
        seen = {} if status in (None, STOPPED) else {"observedGeneration": self.object["metadata"]["generation"]}
        about = {**self.object["metadata"], "uid": self.uid}
        if self.deleting:
            about["deletionTimestamp"] = self.deleting
        return 200, json.dumps({**self.object, "metadata": about, "status": {**seen, **(status or {})}}).encode()
