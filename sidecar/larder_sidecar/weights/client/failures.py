"""urllib3's exceptions as our errors. They may quote a URL with its signature, so no text of theirs is passed on."""

import contextlib
from collections.abc import Iterator

import urllib3

from ..errors import HubError, StallError, TransientError
from . import proxy
from .address import redact_url


class LostError(TransientError):
    """The connection ended before the answer did."""


@contextlib.contextmanager
def translate_failures(url: str) -> Iterator[None]:
    """Turn urllib3's exceptions of the block into HubErrors about `url`."""
    try:
        yield
    except (urllib3.exceptions.ReadTimeoutError, TimeoutError):
        raise StallError(f"{redact_url(url)}: no bytes came within the stall time") from None
    except urllib3.exceptions.SSLError as error:
        raise HubError(
            f"{redact_url(url)}: TLS failed: {_tls_problem(error.args[0] if error.args else error)}",
            "Check the certificate; name the file of a private CA in SSL_CERT_FILE.",
        ) from None
    except urllib3.exceptions.ProxyError as error:
        raise proxy.proxy_error(redact_url(url), error.original_error) from None
    except (urllib3.exceptions.NameResolutionError, urllib3.exceptions.NewConnectionError) as error:
        raise TransientError(
            f"{redact_url(url)}: cannot connect ({type(error).__name__})",
            "Check DNS, network policies and proxy settings.",
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise LostError(f"{redact_url(url)}: connection lost ({type(error).__name__})") from None


def _tls_problem(error: object) -> str:
    """Return the kind of a TLS error and OpenSSL's message for it, in which there is no URL."""
    message = getattr(error, "verify_message", None) or getattr(error, "reason", None)
    return f"{type(error).__name__}{f' ({message})' if message else ''}"[:300]
