"""Base of every model of a file or a setting: kebab-case keys, unknown keys refused, values frozen."""

from collections.abc import Collection
from typing import Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema


def kebab(name: str) -> str:
    """Return the name in kebab case: `served_names` -> `served-names`."""
    return name.replace("_", "-")


class Choices:
    """Annotation of a setting that is a word of a registry, with the errors and the schema of a Literal.

    The registry is looked up whenever a value is read, so that it may grow after the model is declared.
    """

    def __init__(self, values: Collection[str]) -> None:
        self.values = values

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self._read, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"enum": [*self.values], "type": "string"}

    def _read(self, value: object) -> str:
        if isinstance(value, str) and value in self.values:
            return value
        *others, last = map(repr, self.values)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}" if others else last})


class Model(BaseModel):
    """Base of every configuration model."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=kebab, populate_by_name=True)

    def to_json(self) -> str:
        """Return the canonical JSON: keys by alias, in the order of the fields, unset optionals left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read the output of `to_json`. Raises pydantic.ValidationError."""
        return cls.model_validate_json(text)
