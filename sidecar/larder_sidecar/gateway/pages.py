"""The greeting at `/`, and `GET /ui`: the page for operators with its two files.

The page needs no token; its changes do.
"""

from importlib import resources

from ..http.answer import Answer

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)
FILES = {
    "/ui": ("page.html", b"text/html; charset=utf-8"),
    "/ui/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    "/ui/page.css": ("page.css", b"text/css; charset=utf-8"),
}


def greeting(*, native: bool) -> Answer:
    """Return the answer at `/`, the first request of Ollama's clients; `native`: Ollama's own paths are served."""
    return Answer(200, b"Ollama is running" if native else b"Larder is running", (), b"text/plain; charset=utf-8")


def page(path: str) -> Answer:
    """Return one of the files."""
    name, content_type = FILES[path]
    content = resources.files("larder_sidecar.ui").joinpath(name).read_bytes()
    return Answer(200, content, _HEADERS, content_type)
