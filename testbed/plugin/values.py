"""Pulumi's wire values and plain Python: secrets and unknowns are kept on the way."""
# ruff: noqa: ANN401 - JSON has no narrower type

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format, struct_pb2

# A Kubernetes object: JSON whose shape only the API server knows.
Manifest = dict[str, Any]

# Markers of the wire format, fixed by Pulumi's SDKs (sdk/python/lib/pulumi/runtime/rpc.py).
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""A value that exists only after `up`."""


@dataclass(frozen=True)
class Secret:
    """A value that Pulumi must encrypt in its state and never print."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


def decode(struct: struct_pb2.Struct) -> Manifest:
    """Return properties as Python values; whole numbers become int, for Kubernetes refuses `replicas: 3.0`."""
    decoded: Manifest = _decoded(json_format.MessageToDict(struct))
    return decoded


def _decoded(value: Any) -> Any:
    match value:
        case dict() if _SIGNATURE in value:
            if value[_SIGNATURE] != _SECRET:
                raise ValueError("a manifest can hold no asset, archive or resource")
            return Secret(_decoded(value.get("value")))
        case dict():
            return {key: _decoded(item) for key, item in value.items()}
        case list():
            return [_decoded(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def encode(values: Manifest) -> struct_pb2.Struct:
    """Return Pulumi's wire values: the inverse of decode."""
    return json_format.ParseDict(_encoded(values), struct_pb2.Struct())


def _encoded(value: Any) -> Any:
    match value:
        case Secret():
            return {_SIGNATURE: _SECRET, "value": _encoded(value.value)}
        case dict():
            return {key: _encoded(item) for key, item in value.items()}
        case list():
            return [_encoded(item) for item in value]
        case _:
            return value


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
    return any(leaf == UNKNOWN for leaf, _ in _leaves(value))


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
        case dict() | list():
            for item in value.values() if isinstance(value, dict) else value:
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
