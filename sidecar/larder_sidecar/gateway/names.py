"""Lookup of a request's model: by id, by the engine's name or by an alias."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ..config.gateway import GatewayConfig
from ..config.weights import canonical, is_cloud


@dataclass(frozen=True, slots=True)
class Unknown:
    """The refusal of an unknown name: status, code, and a message with alternatives."""

    status: int
    code: str
    message: str


class Model(Protocol):
    """A model that the gateway serves."""

    @property
    def id(self) -> str:
        """Return the name that clients see."""

    @property
    def engine_name(self) -> str:
        """Return the engine's name of it."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that a client pulled, named by its file."""

    id: str

    @property
    def engine_name(self) -> str:
        """Return the file's stem, which llama-server uses as the name."""
        return self.id


_COMPARED = 100_000
"""Limit for the search of similar names: product of the letters on both sides; 8 ms at the worst that was found."""
_LONGEST = 64
"""Letters of an unknown name that are compared."""
_QUANTIZATION = re.compile(r"[.-](I?Q[0-9][A-Za-z0-9_]*|B?F16|F32)$", re.IGNORECASE)


def is_open(name: str) -> bool:
    """Tell if the request leaves the choice of the model to us."""
    return not name or name.casefold() == "auto"


_SERVABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .,+@=()-]{0,126}(?<! )")
"""Names of files that clients can use. They need no escape in headers, log lines and metrics."""
_GRAMMAR = "a name is up to 127 letters, digits, blanks and ._,+@=()-, and begins with a letter, a digit or _"


def unservable(stem: str) -> str:
    """Return why no request can name a file with this stem (the name without `.gguf`); '' if one can."""
    if not _SERVABLE.fullmatch(stem):
        return _GRAMMAR
    return f"{stem!r} leaves the choice of the model to the gateway" if is_open(stem) else ""


class Names:
    """The names of one configuration, and of pulled models."""

    def __init__(self, config: GatewayConfig) -> None:
        self._stems: tuple[str, ...] = ()
        self.unservable: dict[str, str] = {}
        """Files that no request can name, without their `.gguf` as ascii() writes them, with the reason."""
        self.read(config)

    def read(self, config: GatewayConfig) -> None:
        """Take the names of this configuration; those of pulled models stay."""
        self._catalog: list[Model] = [*config.models]
        self._known = {canonical(name): model for model in config.models for name in model.names()}
        self._as_written = {name: model for model in config.models for name in model.names()}
        """Models by names as configured, which nearly all requests use."""
        self._default = next((m for m in config.models if m.id == config.routing.default), None)
        self.add_pulled(self._stems)

    @property
    def models(self) -> list[Model]:
        """Return all models, the catalog's first."""
        return self._catalog + self._pulled

    def owner(self, name: str) -> str | None:
        """Return the id of the catalog model with this name."""
        model = self._known.get(canonical(name))
        return model.id if model else None

    def add_pulled(self, stems: Iterable[str]) -> None:
        """Replace the pulled models by these.

        A name in another case, or without its quantization, is valid if it fits one of them only.
        """
        self._stems = tuple(stems)
        reasons = {stem: self._unservable(stem) for stem in self._stems}
        self.unservable = {ascii(stem): reason for stem, reason in reasons.items() if reason}
        pulled = [Pulled(stem) for stem, reason in reasons.items() if not reason]
        self._pulled: list[Model] = [*pulled]
        self._more: dict[str, Model] = {}
        for form in (lambda name: canonical(_QUANTIZATION.sub("", name)), canonical):
            count = Counter(form(model.id) for model in pulled)
            self._more |= {form(model.id): model for model in pulled if count[form(model.id)] == 1}
        self._pulled_as_written: dict[str, Model] = {model.id: model for model in pulled}

    def _unservable(self, stem: str) -> str:
        owner = self.owner(stem)
        return f"model {owner!r} of the catalog is called so" if owner else unservable(stem)

    def resolve(self, name: str) -> Model | Unknown:
        """Return the model called `name`; the default for '' and `auto`."""
        if (known := self._as_written.get(name)) is not None:
            return known
        if is_open(name):
            return self._default or Unknown(400, "model_required", f"name a model: {self._listed()}")
        key = canonical(name)
        model = self._known.get(key) or self._pulled_as_written.get(name) or self._more.get(key)
        if model is not None:
            return model
        shown = name if len(name) <= 100 else name[:100] + "…"
        if is_cloud(name):
            return Unknown(
                403,
                "cloud_model_refused",
                f"model {shown!r} runs outside this cluster and is refused; here: {self._listed()}",
            )
        return Unknown(404, "model_not_found", f"model {shown!r} is not served here; {self._near(name)}")

    def _near(self, name: str) -> str:
        asked = name.casefold()[:_LONGEST]
        aliases = dict.fromkeys(name for m in self._known.values() for name in m.aliases)
        wanted, work = [], 0
        for known in (*[m.id for m in self.models], *aliases):
            work += len(known) * len(asked)
            if work > _COMPARED:
                break
            wanted.append(known)
        if near := difflib.get_close_matches(asked, wanted, n=3, cutoff=0.5):
            return f"did you mean {' or '.join(near)}?"
        return f"here: {self._listed()}"

    def _listed(self) -> str:
        ids = [m.id for m in self.models]
        return ", ".join(ids[:10]) + (f" and {len(ids) - 10} more (GET /v1/models)" if len(ids) > 10 else "")
