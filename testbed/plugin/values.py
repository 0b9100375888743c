"""Pulumi's wire values and plain Python: secrets and unknowns are kept on the way."""
# ruff: noqa: ANN401 - JSON has no narrower type

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

# A Kubernetes object: JSON whose shape only the API server knows.
Manifest = dict[str, Any]

# Markers of the wire format, fixed by Pulumi's SDKs (sdk/python/lib/pulumi/runtime/rpc.py).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Unknown:
    """A value that exists only after `up`; equal to itself alone, so a diff against a known value is a change."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that Pulumi must encrypt in its state and never print."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


def decode(struct: struct_pb2.Struct) -> Manifest:
    """Return properties as Python values; whole numbers become int, for Kubernetes refuses `replicas: 3.0`."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            fields = decode(value.struct_value)
            match fields.get(_SIGNATURE):
                case None:
                    return fields
                case sign if sign == _SECRET:
                    return Secret(fields.get("value"))
                case sign if sign == _OUTPUT:
                    inner = fields.get("value", UNKNOWN)
                    return Secret(inner) if fields.get("secret") else inner
                case sign:
                    raise ValueError(f"a manifest can hold no asset, archive or resource (signature {sign})")
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return UNKNOWN if value.string_value == _UNKNOWN else value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def encode(values: Manifest) -> struct_pb2.Struct:
    """Return Pulumi's wire values: the inverse of decode."""
    return struct_pb2.Struct(fields={key: _encode(value) for key, value in values.items()})


def _encode(value: Any) -> struct_pb2.Value:
    match value:
        case Secret():
            fields = {_SIGNATURE: struct_pb2.Value(string_value=_SECRET), "value": _encode(value.value)}
            return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
        case Unknown():
            return struct_pb2.Value(string_value=_UNKNOWN)
        case dict():
            return struct_pb2.Value(struct_value=encode(value))
        case list() | tuple():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_encode(item) for item in value]))
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case _:
            return struct_pb2.Value(string_value=str(value))


def plain(value: Any) -> Any:
    """Return the value as Kubernetes gets it: secrets opened, nulls dropped."""
    match value:
        case Secret():
            return plain(value.value)
        case dict():
            return {key: plain(item) for key, item in value.items() if item is not None}
        case list():
            return [plain(item) for item in value]
        case _:
            return value


def has_unknown(value: Any) -> bool:
    """Tell whether any leaf waits for `up`."""
    return any(leaf is UNKNOWN for leaf, _ in _leaves(value))


def redacted(text: str, values: Manifest) -> str:
    """Return the text without the secrets among the values: the API server quotes what it refuses."""
    secrets = {leaf for leaf, secret in _leaves(values) if secret and isinstance(leaf, str) and leaf}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def _leaves(value: Any, secret: bool = False) -> Iterator[tuple[Any, bool]]:
    match value:
        case Secret():
            yield from _leaves(value.value, secret=True)
        case dict():
            for item in value.values():
                yield from _leaves(item, secret)
        case list():
            for item in value:
                yield from _leaves(item, secret)
        case _:
            yield value, secret


def mark_secrets(outputs: Manifest, inputs: Manifest) -> Manifest:
    """Return outputs with the secrecy of the inputs; the data of a Secret always: the API server re-encodes it.

    A list that holds a secret anywhere becomes secret as a whole: its order may change on the way.
    """
    if outputs.get("kind") == "Secret":
        hidden = {key: Secret(outputs[key]) for key in ("data", "stringData") if key in outputs}
        return outputs | hidden
    marked = dict(outputs)
    for key, given in inputs.items():
        if key not in outputs:
            continue
        if isinstance(given, dict) and isinstance(outputs[key], dict):
            marked[key] = mark_secrets(outputs[key], given)
        elif any(secret for _, secret in _leaves(given)):
            marked[key] = Secret(outputs[key])
    return marked
