"""`python -m components.settings.schema`: the JSON Schema of Pulumi.<stack>.yaml, so that editors complete stack files.

Write it with `> components/settings/schema.json`; a test compares the committed file.
"""

import json
from pathlib import Path
from typing import Any

from .manager import API_TOKEN
from .root import Settings
from .sources import NAMESPACE

FILE = Path(__file__).with_name("schema.json")
FROM_THE_RUN = {"images"}
"""Blocks that a run may pass, so that a stack file may omit them."""


def schema() -> dict[str, Any]:
    """Return the schema. It checks `larder:` keys in `config`, and leaves all other keys to Pulumi."""
    root = Settings.model_json_schema(by_alias=True)
    config = {
        "type": "object",
        "properties": {
            **{NAMESPACE + key: value for key, value in root["properties"].items()},
            API_TOKEN: {
                "type": "object",
                "required": ["secure"],
                "description": "Set by `pulumi config set --secret`.",
            },
        },
        "required": [NAMESPACE + key for key in root["required"] if key not in FROM_THE_RUN],
        "patternProperties": {f"^(?!{NAMESPACE})": {}},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of Larder",
        "type": "object",
        "properties": {"config": config},
        "required": ["config"],
        "$defs": root["$defs"],
    }


def text() -> str:
    """Return the schema as text, as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
