"""Which model a request means: by id, by the engine's name or by an alias."""

import difflib
from dataclasses import dataclass

from ..config.gateway import GatewayConfig, ServedModel
from ..config.weights import canonical, is_cloud


@dataclass(frozen=True, slots=True)
class Unknown:
    """No model answers: why, and what the client may try instead."""

    status: int
    code: str
    message: str


class Names:
    """The names of one configuration."""

    def __init__(self, config: GatewayConfig) -> None:
        self.models = config.models
        self._known = {canonical(name): model for model in config.models for name in model.names()}
        self._default = next((m for m in config.models if m.id == config.default), None)

    def resolve(self, name: str) -> ServedModel | Unknown:
        """The model called `name`; the default for none, '' and `auto`."""
        if not name or name.casefold() == "auto":
            return self._default or Unknown(400, "model_required", f"name a model: {self._listed()}")
        if (model := self._known.get(canonical(name))) is not None:
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
        wanted = [m.id for m in self.models] + [a for m in self.models for a in m.aliases]
        if near := difflib.get_close_matches(name.casefold()[:100], wanted, n=3, cutoff=0.5):
            return f"did you mean {' or '.join(near)}?"
        return f"here: {self._listed()}"

    def _listed(self) -> str:
        ids = [m.id for m in self.models]
        return ", ".join(ids[:10]) + (f" and {len(ids) - 10} more (GET /v1/models)" if len(ids) > 10 else "")
