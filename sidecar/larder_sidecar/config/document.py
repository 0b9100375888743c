"""A YAML file as plain values. What two readers could take differently is refused or read as text."""

from pathlib import Path
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class DocumentError(ValueError):
    """A file that is no document; one line, without what stands in it."""


def load_document(path: Path) -> object:
    """What the file holds: mappings, lists and scalars; dates stay text. Raises DocumentError."""
    try:
        # The loader is a SafeLoader: it makes plain values only.
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
    except OSError as error:
        raise DocumentError(error.strerror or str(error)) from error
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        msg = f"not YAML: {error.problem}{line}"
        raise DocumentError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = "not YAML: it holds bytes or characters that no text has"
        raise DocumentError(msg) from error
    except RecursionError as error:
        msg = "not a document: it is nested too deeply"
        raise DocumentError(msg) from error
    except ValueError as error:
        # From a scalar that looks like a number and is none that fits.
        msg = f"not YAML: {error}"
        raise DocumentError(msg) from error


class _Loader(yaml.SafeLoader):
    """No dates, nothing inside itself, and no key twice: YAML forbids it, and readers differ in which one they take."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base declares it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        # Built from the inside out, where the base class refuses what it meets again before it is finished.
        self.deep_construct = True

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        # typeshed takes the anchor for a dict; it is the text behind `&`, or None.
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    msg = f"key {key.value!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=msg, problem_mark=key.start_mark)
                seen.add(key.value)
        return node
