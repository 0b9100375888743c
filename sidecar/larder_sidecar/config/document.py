"""Reader of a YAML file into plain values. Anything that two readers could take differently is refused or text.

A file may come from an attacker. Its bytes, its depth and the expansion of its aliases are bounded. It can make only
mappings, lists, texts, numbers, booleans and null.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**20
"""Limit for a file, and for the expansion of its aliases and merges, in bytes."""
_DEPTH = 64
_VALUE_BYTES = 64
"""Bytes that each value counts besides its text: `[a,a,a,…]` takes far more memory and time than disk."""
_NUMBER_CHARACTERS = 64
_SHOWN = 160
_PREFIX = "tag:yaml.org,2002:"
_MERGE = _PREFIX + "merge"
_SCALARS = frozenset(_PREFIX + name for name in ("null", "bool", "int", "float", "str"))
_NUMBERS = {
    # Without base 60 (1:59:59), which YAML 1.2 and Pulumi read as text.
    "int": (r"[-+]?(?:0b[01_]+|0[0-7_]+|(?:0|[1-9][0-9_]*)|0x[0-9a-fA-F_]+)", "-+0123456789"),
    "float": (
        r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
_NOT_AS_YAML_1_1 = ("timestamp", *_NUMBERS)


class DocumentError(ValueError):
    """The error for an invalid file; one short line without any value of the file."""


def load_document(path: Path, *, most: int = MOST_BYTES, trusted: bool = True) -> object:
    """Read mappings, lists and scalars from the file; dates stay text. Raises DocumentError and no other error.

    In a file that others write (not `trusted`), anchors, aliases and merges are refused too, and so is a special file.
    """
    try:
        return _parse(_Loader(_text(path, most, trusted=trusted), most, aliases=trusted))
    except OSError as error:
        raise DocumentError(error.strerror or "cannot be read") from error
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        problem = _printable(error.problem or error.context or "it cannot be parsed")
        if isinstance(error, _RefusedError):
            msg = f"{problem}{line}. Fix: {error.remedy}"
        else:
            msg = f"not YAML: {problem}{line}"
        raise DocumentError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = "not YAML: it is not UTF-8, or holds control characters. Fix: save it as plain text in UTF-8"
        raise DocumentError(msg) from error
    except DocumentError:
        raise
    except Exception as error:  # a reader of files that others write must end for each of them in the same way
        msg = f"not YAML: it cannot be read ({type(error).__name__})"
        raise DocumentError(msg) from error


def _text(path: Path, most: int, *, trusted: bool) -> str:
    # Without O_NONBLOCK, opening a FIFO waits for a writer.
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if trusted else os.O_NONBLOCK)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 (a descriptor)
        if not trusted and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            msg = "is not a regular file"
            raise DocumentError(msg)
        content = file.read(most + 1)
    if len(content) > most:
        size = f"{most // 1024} KiB" if most >= 1024 else f"{most} bytes"
        msg = f"is larger than {size}"
        raise DocumentError(msg)
    return content.decode("utf-8")


def _parse(loader: Any) -> object:  # noqa: ANN401 (typeshed leaves half of a loader's methods without types)
    try:
        loader.get_event()  # of the stream's start
        if loader.check_event(yaml.StreamEndEvent):
            return None
        root = loader.compose_document()
        if root is not None and not loader.check_event(yaml.StreamEndEvent):
            mark = loader.peek_event().start_mark
            raise _RefusedError("a second document begins here", "keep one document in a file", mark)
        return None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _printable(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"


class _RefusedError(yaml.MarkedYAMLError):
    """The error for valid YAML that this reader does not accept."""

    def __init__(self, problem: str, remedy: str, mark: Any) -> None:  # noqa: ANN401 (either of PyYAML's two marks)
        super().__init__(problem=problem, problem_mark=mark)
        self.remedy = remedy


class _Loader(yaml.SafeLoader):
    """The safe loader without dates, base 60, foreign tags and repeated keys, for which YAML's readers differ."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base declares it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag.removeprefix(_PREFIX) not in _NOT_AS_YAML_1_1]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str, most: int, *, aliases: bool) -> None:
        super().__init__(text)
        self._aliases = aliases
        self._left = most
        self._depth = 0
        self._weights: dict[int, int] = {}
        """The weight of a node with all in it, by id; 0 while the node is not finished."""
        # The base class refuses a node that recurs before it is finished; deep construction builds it first.
        self.deep_construct = True

    def fetch_flow_collection_start(self, token: Any) -> None:  # noqa: ANN401 (a class of tokens)
        """Refuse depth where it is read: the base reads a line ahead, in time that is the square of its brackets."""
        scanner: Any = self
        if scanner.flow_level >= _DEPTH:
            raise _RefusedError(f"nested deeper than {_DEPTH} levels", "nest less", scanner.get_mark())
        fetch: Any = super()
        fetch.fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 (as the base has it)
        event = self._next()
        if not self._aliases and getattr(event, "anchor", None) is not None:
            raise _RefusedError("an anchor or alias stands here", "write the value itself", event.start_mark)
        if self._depth == _DEPTH:
            raise _RefusedError(f"nested deeper than {_DEPTH} levels", "nest less", event.start_mark)
        self._depth += 1
        before = self._left
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(event, yaml.AliasEvent):
            if not (weight := self._weights.get(id(node), 0)):
                raise _RefusedError("an alias stands within what it names", "write the value itself", event.start_mark)
            self._spend(weight, event.start_mark)
        else:
            text = node.value if isinstance(node, yaml.ScalarNode) else ""
            self._spend(_VALUE_BYTES + len(text), event.start_mark)
            self._weights[id(node)] = before - self._left
        return node

    def _next(self) -> yaml.Event:
        parser: Any = self
        event: yaml.Event = parser.peek_event()
        return event

    def _spend(self, weight: int, mark: Any) -> None:  # noqa: ANN401 (as above)
        self._left -= weight
        if self._left < 0:
            raise _RefusedError("more values than a file may hold", "say less in one file", mark)

    def compose_scalar_node(self, anchor: dict[Any, yaml.Node]) -> yaml.ScalarNode:
        event = self._next()
        node = super().compose_scalar_node(anchor)
        kind = node.tag.removeprefix(_PREFIX)
        if node.tag != _MERGE and node.tag not in _SCALARS:
            raise _RefusedError(f"tag {node.tag!r}", "write a plain value", event.start_mark)
        if isinstance(event, yaml.ScalarEvent) and event.tag not in (None, "!", _PREFIX + "str"):
            resolver: Any = self
            plain = resolver.resolve(yaml.ScalarNode, node.value, (True, False))
            if plain != node.tag and (kind, plain) != ("float", _PREFIX + "int"):
                raise _RefusedError(f"!!{kind} stands before something else", "leave the tag out", event.start_mark)
        if kind in _NUMBERS and len(node.value) > _NUMBER_CHARACTERS:
            problem = f"a number of {len(node.value)} characters"
            raise _RefusedError(problem, "put it in quotes if it is text", event.start_mark)
        return node

    def compose_sequence_node(self, anchor: dict[Any, yaml.Node]) -> yaml.SequenceNode:
        node = super().compose_sequence_node(anchor)
        if node.tag != _PREFIX + "seq":
            raise _RefusedError(f"tag {node.tag!r} on a list", "leave the tag out", node.start_mark)
        return node

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        # typeshed takes the anchor for a dict; it is the text behind `&`, or None.
        node = super().compose_mapping_node(anchor)
        if node.tag != _PREFIX + "map":
            raise _RefusedError(f"tag {node.tag!r} on a mapping", "leave the tag out", node.start_mark)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _RefusedError("a key that is a list or a mapping", "write a text as the key", key.start_mark)
            if key.tag == _MERGE:
                if not self._aliases:
                    raise _RefusedError("a merge (<<) stands here", "write the keys themselves", key.start_mark)
            elif key.value in seen:
                msg = f"key {_printable(key.value)[:60]!r} is there twice"
                raise yaml.MarkedYAMLError(problem=msg, problem_mark=key.start_mark)
            else:
                seen.add(key.value)
        return node


for _name, (_pattern, _first) in _NUMBERS.items():
    _Loader.add_implicit_resolver(_PREFIX + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))
