"""Problems of a file are lines that a terminal and a log can show."""

import json

import pytest
from larder_sidecar.config.gateway import GatewayConfig
from larder_sidecar.config.read import problem_lines
from pydantic import ValidationError

UNPRINTABLE = ["\x1b[31mred", "a\x00b", "a\r\nb", "\ufeffschema", "a\u202eb", "x" * 10_000]


@pytest.mark.parametrize("key", UNPRINTABLE, ids=ascii)
def test_a_problem_line_has_only_printable_characters(key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        GatewayConfig.from_json(json.dumps({key: 1}))
    for line in problem_lines(caught.value):
        assert line.isprintable()
        assert len(line) < 1000
