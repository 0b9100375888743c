"""Property values of the protocol, read as the engine reads them."""

from google.protobuf import json_format, struct_pb2

from preview import properties

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"


def _decoded(value: object) -> properties.Property:
    return properties.decode(json_format.ParseDict({"it": value}, struct_pb2.Struct()))["it"]


def test_whole_numbers_are_integers_again() -> None:
    assert repr(_decoded([3.0, 2.5])) == "[3, 2.5]"


def test_a_secret_does_not_show_its_value() -> None:
    found = _decoded({"a": [{SIGNATURE: SECRET, "value": "hunter2"}]})
    assert properties.secrets_in(found)
    assert "hunter2" not in repr(found)


def test_an_output_is_its_value_and_a_secret_one_is_secret() -> None:
    assert _decoded({SIGNATURE: OUTPUT, "value": {"a": 1}, "dependencies": []}) == {"a": 1}
    assert properties.secrets_in(_decoded({SIGNATURE: OUTPUT, "value": "x", "secret": True}))


def test_what_is_not_known_yet_is_unknown() -> None:
    assert _decoded(properties.UNKNOWN_ID) is properties.UNKNOWN
    assert _decoded({SIGNATURE: OUTPUT}) is properties.UNKNOWN


def test_plain_values_hold_no_secret() -> None:
    assert not properties.secrets_in(_decoded({"a": ["b", {"c": None}]}))
