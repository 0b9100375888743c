"""Protocols between a listener and the application that answers its requests."""

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from .answer import Answer
from .request import Request

if TYPE_CHECKING:
    from .server import ServerConnection


class Responder(Protocol):
    """Answers the request in flight, over several turns of the event loop."""

    def client_gone(self) -> None:
        """Stop the work: the client closed its side."""

    def pause(self) -> None:
        """Stop writing: the client reads slowly."""

    def resume(self) -> None:
        """Write again: the client has caught up."""

    def expire(self) -> None:
        """Act on the connection's deadline, which the responder itself has set."""


Outcome: TypeAlias = Answer | Responder
"""A whole response, which the connection writes, or the responder that writes it."""


RequestT = TypeVar("RequestT", bound=Request)


class Application(Protocol[RequestT]):
    """The application behind a listener."""

    request: type[RequestT]
    """The class of its requests."""

    def closing(self) -> bool:
        """Tell if every response says `Connection: close`."""

    def admit(self, request: RequestT) -> Answer | None:
        """Judge a complete head: None to have the body read, an answer to refuse."""

    def respond(self, request: RequestT, client: "ServerConnection") -> Outcome:
        """Answer a complete request."""

    def finished(self, request: RequestT) -> None:
        """Act on the end of a request: the response is written, or the client has gone."""

    def identify(self, request: RequestT) -> bytes:
        """Return the headers for every response to this request, each with its line end."""
