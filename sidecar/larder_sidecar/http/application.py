"""The protocols between a listener and the application that answers its requests."""

from typing import TYPE_CHECKING, Protocol, TypeAlias

from .answer import Answer
from .request import Request

if TYPE_CHECKING:
    from .server import ServerConnection


class Responder(Protocol):
    """Answers the request in flight, over several turns of the event loop."""

    def client_gone(self) -> None:
        """The client closed its side: stop the work."""

    def pause(self) -> None:
        """The client reads slower than we write."""

    def resume(self) -> None:
        """The client has caught up."""

    def expire(self) -> None:
        """The connection's deadline, set by the responder itself, has passed."""


Outcome: TypeAlias = Answer | Responder
"""A whole response, which the connection writes, or the responder that writes it."""


class Application(Protocol):
    """The application behind a listener."""

    def closing(self) -> bool:
        """Tell if every response says `Connection: close`."""

    def admit(self, request: Request) -> Answer | None:
        """Look at a complete head: None to have the body read, an answer to refuse."""

    def respond(self, request: Request, client: "ServerConnection") -> Outcome:
        """Answer a complete request."""

    def finished(self, request: Request) -> None:
        """The response is written, or the client has gone."""

    def identify(self, request: Request) -> bytes:
        """The headers that every response to this request carries, each with its line end."""
