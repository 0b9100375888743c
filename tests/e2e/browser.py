"""Headless Chromium, controlled by the W3C WebDriver protocol."""

import base64
import contextlib
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.processes import free_port
from testbed import packages

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1180,1000",
    "--force-device-scale-factor=1",
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key under which WebDriver names an element."""


class Browser:
    """One browser window."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": [*FLAGS]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        self._session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._driver + path, content, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def _do(self, path: str, body: object = None) -> Any:
        return self._ask("POST" if body is not None else "GET", f"/session/{self._session}{path}", body)

    def open(self, url: str) -> None:
        self._do("/url", {"url": url})

    def find(self, selector: str) -> str:
        """Wait for the element and return it."""
        deadline = time.monotonic() + 20
        while True:
            if found := self._do("/elements", {"using": "css selector", "value": selector}):
                return str(found[0][ELEMENT])
            assert time.monotonic() < deadline, f"no {selector} on the page: {self.text('body')}"
            time.sleep(0.1)

    def text(self, selector: str) -> str:
        return str(self._on(selector, "text"))

    def click(self, selector: str) -> None:
        self._on(selector, "click", {})

    def write(self, selector: str, text: str) -> None:
        self._on(selector, "value", {"text": text})

    def _on(self, selector: str, word: str, body: object = None) -> Any:
        """Act on an element. The page redraws its rows every few seconds, so look a replaced one up again."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self._do(f"/element/{self.find(selector)}/{word}", body)
            except AssertionError as error:
                if "stale element" not in str(error) or time.monotonic() > deadline:
                    raise

    def until(self, selector: str, text: str) -> None:
        """Wait until the element has the text."""
        deadline = time.monotonic() + 20
        while text not in (said := self.text(selector)):
            assert time.monotonic() < deadline, f"{selector} says {said!r}, not {text!r}"
            time.sleep(0.1)

    def complaints(self) -> list[str]:
        """Return the errors in the console: of scripts, and of the content security policy."""
        return [str(line["message"]) for line in self._do("/se/log", {"type": "browser"})]

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(self._do("/screenshot")))

    def close(self) -> None:
        self._ask("DELETE", f"/session/{self._session}")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Yield a browser, installed if it is missing, and close it at the end."""
    packages.ensure_browser()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="larder-browser-") as home:
        env = os.environ | {"HOME": home, "TMPDIR": home}
        driver = subprocess.Popen(["chromedriver", f"--port={port}"], env=env, stdout=subprocess.DEVNULL)
        try:
            _ready(f"http://127.0.0.1:{port}")
            window = Browser(f"http://127.0.0.1:{port}")
            try:
                yield window
            finally:
                window.close()
        finally:
            driver.terminate()
            driver.wait(10)


def _ready(driver: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(f"{driver}/status", timeout=2):
                return
        except OSError:
            assert time.monotonic() < deadline, "chromedriver does not answer"
            time.sleep(0.1)
