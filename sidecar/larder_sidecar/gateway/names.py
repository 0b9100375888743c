"""Which model a request means: by id, by the engine's name or by an alias."""

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
    """No model answers: why, and what the client may try instead."""

    status: int
    code: str
    message: str


class Model(Protocol):
    """A model that is answered for."""

    @property
    def id(self) -> str:
        """The name that clients see."""

    @property
    def engine_name(self) -> str:
        """The name that the engine is told."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that a client brought, named by its file."""

    id: str

    @property
    def engine_name(self) -> str:
        """llama-server names a file the same."""
        return self.id


_COMPARED = 100_000
"""Letters of names times letters of an unknown one, in a search for those like it: 8 ms at the worst that was found."""
_LONGEST = 64
"""Letters of an unknown name that are compared."""
_QUANTIZATION = re.compile(r"[.-](I?Q[0-9][A-Za-z0-9_]*|B?F16|F32)$", re.IGNORECASE)


def is_open(name: str) -> bool:
    """Does the request leave the choice of the model to us?"""
    return not name or name.casefold() == "auto"


_SERVABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .,+@=()-]{0,126}(?<! )")
"""A name goes into headers, log lines and metrics as it is: none of these needs an escape there."""
_GRAMMAR = "a name is up to 127 letters, digits, blanks and ._,+@=()-, and begins with a letter, a digit or _"


def unservable(stem: str) -> str:
    """Say why no request can name a file with this stem (the name without `.gguf`); '' if one can."""
    if not _SERVABLE.fullmatch(stem):
        return _GRAMMAR
    return f"{stem!r} leaves the choice of the model to the gateway" if is_open(stem) else ""


class Names:
    """The names of one configuration, and of the models that were pulled beside it."""

    def __init__(self, config: GatewayConfig) -> None:
        self._stems: tuple[str, ...] = ()
        self.unservable: dict[str, str] = {}
        """The files that no request can name, without their `.gguf` as ascii() writes them; and why."""
        self.read(config)

    def read(self, config: GatewayConfig) -> None:
        """Take the names of this file; those of pulled models stay."""
        self._catalog: list[Model] = [*config.models]
        self._known = {canonical(name): model for model in config.models for name in model.names()}
        self._as_written = {name: model for model in config.models for name in model.names()}
        """Nearly all requests name a model as the file does."""
        self._default = next((m for m in config.models if m.id == config.routing.default), None)
        self.add_pulled(self._stems)

    @property
    def models(self) -> list[Model]:
        """All there are, the catalog's first."""
        return self._catalog + self._pulled

    def owner(self, name: str) -> str | None:
        """The id of the catalog model that goes by this name."""
        model = self._known.get(canonical(name))
        return model.id if model else None

    def add_pulled(self, stems: Iterable[str]) -> None:
        """Replace the pulled models by these.

        In another case, or without its quantization, a name is good where it means one of them.
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
        """The model called `name`; the default for none, '' and `auto`."""
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
