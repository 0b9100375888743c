"""Property values in the SDK's wire format: signatures for secrets and outputs, a marker for unknown values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf import json_format, struct_pb2
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_ID

__all__ = ["UNKNOWN", "UNKNOWN_ID", "Secret", "decode", "redact", "reveal", "secrets_in"]

# Constants of the protocol (pulumi sdk/go/common/resource/sig): the key gives the kind of value that a map encodes.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


Property: TypeAlias = Any
"""A JSON value that may hold `Secret` and `UNKNOWN`."""


class _Unknown:
    """A value that is unknown until the resource exists."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value marked secret. Its text never shows it."""

    value: Property

    def __repr__(self) -> str:
        return "<secret>"


def decode(struct: struct_pb2.Struct) -> dict[str, Property]:
    """Return the properties as plain values."""
    return {key: _value(value) for key, value in json_format.MessageToDict(struct).items()}


def _value(value: Property) -> Property:
    match value:
        case str() if value == UNKNOWN_ID:
            return UNKNOWN
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_value(item) for item in value]
        case dict() if value.get(_SIGNATURE) == _SECRET:
            return Secret(_value(value.get("value")))
        case dict() if value.get(_SIGNATURE) == _OUTPUT:
            inner = _value(value["value"]) if "value" in value else UNKNOWN
            return Secret(inner) if value.get("secret") else inner
        case dict():
            return {key: _value(item) for key, item in value.items()}
        case _:
            return value


def secrets_in(value: Property) -> bool:
    """Tell if the value contains a secret."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return any(secrets_in(item) for item in value.values())
    return isinstance(value, list) and any(secrets_in(item) for item in value)


def reveal(value: Property) -> Property:
    """Return the value with its secrets in plain text, for policies, which store nothing."""
    return _replace(value, lambda special: reveal(special.value) if isinstance(special, Secret) else special)


def redact(value: Property) -> Property:
    """Return the value as JSON, with a word for each secret and each unknown value."""
    return _replace(value, repr)


def _replace(value: Property, special: Callable[[Property], Property]) -> Property:
    match value:
        case dict():
            return {key: _replace(item, special) for key, item in value.items()}
        case list():
            return [_replace(item, special) for item in value]
        case Secret() | _Unknown():
            return special(value)
        case _:
            return value
