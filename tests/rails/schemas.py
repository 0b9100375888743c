"""Print the JSON Schema of every file that a role of the sidecar is started with, with the code that is on the path.

It finds the models by themselves: those below `larder_sidecar.config` that have a field `schema`.
"""

import importlib
import inspect
import json
import pkgutil

import larder_sidecar.config
from pydantic import BaseModel


def files() -> dict[str, object]:
    """Return the schemas by the fields of the file: classes may change their names."""
    names = [module.name for module in pkgutil.iter_modules(larder_sidecar.config.__path__, "larder_sidecar.config.")]
    classes = {
        found
        for name in names
        for _, found in inspect.getmembers(importlib.import_module(name), inspect.isclass)
        if issubclass(found, BaseModel) and "schema_" in found.model_fields
    }
    schemas = [found.model_json_schema(by_alias=True) for found in classes]
    return {", ".join(sorted(schema["properties"])): schema for schema in schemas}


if __name__ == "__main__":
    print(json.dumps(files()))
