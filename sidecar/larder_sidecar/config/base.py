"""What every model of a file or a setting shares: kebab-case keys, unknown keys refused, values frozen."""

from typing import Self

from pydantic import BaseModel, ConfigDict


def kebab(name: str) -> str:
    """`served_names` -> `served-names`."""
    return name.replace("_", "-")


class Model(BaseModel):
    """Base of every configuration model."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=kebab, populate_by_name=True)

    def to_json(self) -> str:
        """The canonical JSON: keys by alias, in the order of the fields, unset optionals left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises pydantic.ValidationError."""
        return cls.model_validate_json(text)
