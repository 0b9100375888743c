"""The greeting at `/`, and `GET /ui`: the page for operators with its two files.

Nobody needs a token to look at the page; what it changes asks for one.
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
    """The words at `/`, before all that Ollama's clients ask for; `native`: where Ollama's own paths are answered."""
    return Answer(200, b"Ollama is running" if native else b"Larder is running", (), b"text/plain; charset=utf-8")


def page(path: str) -> Answer:
    """One of the files."""
    name, content_type = FILES[path]
    content = resources.files("larder_sidecar.ui").joinpath(name).read_bytes()
    return Answer(200, content, _HEADERS, content_type)
