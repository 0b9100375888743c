"""The wire format of Pulumi's plugins, kept without loss of types, secrets and unknowns."""

import pytest
from google.protobuf import json_format, struct_pb2

from testbed.plugin.values import (
    UNKNOWN,
    Secret,
    decode,
    encode,
    has_unknown,
    mark_secrets,
    plain,
    redacted,
)

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PARTS: dict = {"none": None, "list": [1, {"a": "b"}], "empty": {"list": [], "map": {}, "text": ""}}


def wire(values: dict) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ({"replicas": 3}, {"replicas": 3}),
        ({"weight": 0.5}, {"weight": 0.5}),
        ({"on": True, **PARTS}, {"on": True, **PARTS}),
        ({"name": UNKNOWN_TEXT}, {"name": UNKNOWN}),
        ({"key": {SIGNATURE: SECRET, "value": {"a": "b"}}}, {"key": Secret({"a": "b"})}),
    ],
)
def test_values_survive_the_round_trip(sent, meant):
    assert decode(wire(sent)) == meant
    assert encode(decode(wire(sent))) == wire(sent)


def test_whole_numbers_are_integers_for_kubernetes_refuses_three_point_zero():
    assert type(decode(wire({"replicas": 3}))["replicas"]) is int


def test_an_asset_is_refused():
    with pytest.raises(ValueError, match="no asset"):
        decode(wire({"file": {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}}))


def test_an_unknown_is_found_at_any_depth():
    assert has_unknown({"spec": {"list": [{"a": Secret(UNKNOWN)}]}})
    assert not has_unknown({"spec": {"list": [{"a": Secret("known")}]}})


def test_the_manifest_for_the_api_server_has_no_wrapping_left():
    assert plain({"stringData": Secret({"a": "b", "n": None}), "n": None}) == {"stringData": {"a": "b"}}


def test_what_was_given_secret_comes_back_secret():
    given = {"spec": {"token": Secret("t"), "name": "n", "env": [{"value": Secret("v")}]}}
    live = {"spec": {"token": "t", "name": "n", "env": [{"value": "v"}], "added": "by the server"}}
    assert mark_secrets(live, given) == {
        "spec": {"token": Secret("t"), "name": "n", "env": Secret([{"value": "v"}]), "added": "by the server"}
    }


def test_the_data_of_a_secret_object_is_secret_even_if_the_program_gave_it_openly():
    live = {"kind": "Secret", "data": {"a": "Yg=="}, "type": "Opaque"}
    assert mark_secrets(live, {"kind": "Secret", "data": {"a": "Yg=="}})["data"] == Secret({"a": "Yg=="})
    assert mark_secrets(live, {})["type"] == "Opaque"


def test_secret_texts_are_taken_out_of_messages_the_longest_first():
    given = {"a": Secret({"b": "one"}), "c": "open", "d": [Secret("one more"), Secret(3)], "e": Secret("")}
    assert redacted("one more than one is open: 3", given) == "[secret] than [secret] is open: 3"
