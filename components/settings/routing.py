"""larder:gateway.routing: the names of models, and the rules for a request without a model."""

from collections.abc import Mapping
from typing import Annotated

from larder_sidecar.config.routing import MAX_RULES, Rule
from larder_sidecar.config.routing import Routing as Rules
from pydantic import Field, ValidationError, field_validator

from .base import Block

Alias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")]


class Routing(Block):
    """Names of models, and rules for requests whose model is absent, empty or `auto`: the first match decides."""

    default: str | None = None
    """The model for a request without a model, or with `auto`. Default: the first of larder:models."""
    aliases: Mapping[Alias, str] = Field(default_factory=dict)
    """More names for models: alias -> catalog id."""
    rules: list[Rule] = Field(default_factory=list, max_length=MAX_RULES)
    """Rules in order: [{pattern, min-characters, max-characters, endpoint, header, model}]; all conditions apply."""

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, rules: list[Rule]) -> list[Rule]:
        try:
            Rules(rules=rules)
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from error
        return rules
