"""Clients that stream without pause and record every incomplete answer."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Load:
    """`clients` threads, each sending one streamed chat after the other on a kept-alive connection, until left."""

    url: str
    model: str
    clients: int = 8
    answers: int = 0
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def so_far(self) -> tuple[int, int]:
        """Return the answers and failures so far."""
        with self._lock:
            return self.answers, len(self.failures)

    def _client(self) -> None:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        while not self._stop.is_set():
            trouble = self._ask(connection)
            with self._lock:
                self.answers += not trouble
                if trouble:
                    self.failures.append(f"{time.strftime('%T')} {trouble}")
            if trouble:
                connection.close()
                time.sleep(0.2)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> str:
        body = {"model": self.model, "stream": True, "max_tokens": 24, "messages": [{"role": "user", "content": "hi"}]}
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        if answer.status != 200:
            return f"{answer.status} {text[:200]!r}"
        return "" if text.rstrip().endswith(b"data: [DONE]") else f"cut short: {text[-200:]!r}"
