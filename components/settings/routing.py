"""larder:gateway.routing: the names of models, and the rules for a request without a model."""

from collections.abc import Mapping
from typing import Annotated

from larder_sidecar.config.routing import MAX_RULES, Rule
from larder_sidecar.config.routing import Routing as Rules
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from .base import Block, Known
from .names import choices, did_you_mean
from .served import refuse_ambiguous, served


def _served(model: str, info: ValidationInfo) -> str:
    known = Known.of(info)
    if known and known.models is not None and model not in (ids := [entry.id for entry in known.models]):
        msg = f"{model!r} is not among larder:models. {did_you_mean(model, ids)}Choices: {choices(ids)}."
        raise ValueError(msg)
    return model


Served = Annotated[str, AfterValidator(_served)]
"""One of larder:models."""
Alias = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")]


class Routing(Block):
    """Names of models, and rules for requests whose model is absent, empty or `auto`: the first match decides."""

    default: Served | None = None
    """The model for a request without a model, or with `auto`. Default: the first of larder:models."""
    aliases: Mapping[Alias, Served] = Field(default_factory=dict)
    """More names for models: alias -> catalog id."""
    rules: list[Rule] = Field(default_factory=list, max_length=MAX_RULES)
    """Rules in order: [{pattern, min-characters, max-characters, endpoint, header, model}]; all conditions apply."""

    @field_validator("aliases")
    @classmethod
    def _check_aliases(cls, aliases: Mapping[str, str], info: ValidationInfo) -> Mapping[str, str]:
        if (known := Known.of(info)) and known.models:
            refuse_ambiguous(served(known.models, aliases))
        return aliases

    @field_validator("rules")
    @classmethod
    def _check_rules(cls, rules: list[Rule]) -> list[Rule]:
        try:
            Rules(rules=rules)
        except ValidationError as error:
            raise ValueError(str(error.errors()[0]["ctx"]["error"])) from error
        return rules
