"""What is wrong with a stack config: one line a problem, each with its path and its remedy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, get_args

import pulumi
from larder_sidecar.catalog import CatalogEntry
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from .names import choices, did_you_mean

_MOST_LINES = 50
"""Problems told of one block: a file may be wrong in every line."""
_SHOWN = 200
"""Characters of a value or a path: they may be anything that fits into a file."""

Shape: TypeAlias = Any
"""What a pydantic TypeAdapter takes: a class, or a form such as `Annotated[list[str], …]`."""


class SettingsError(pulumi.RunError):
    """Every problem of the stack config at once. Pulumi prints a RunError without a stack trace."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(_one_line, problems))
        super().__init__("\n".join(self.problems))


def _one_line(problem: str) -> str:
    """No break and no control character, whatever a stack file puts into a key."""
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(problem.split()))
    return _USER_IN_URL.sub("//…@", line)


_USER_IN_URL = re.compile(r"//[^/\s@]*@")
"""A password, most likely: a value may be repeated, this part of it may not."""


def entry_lines(name: str, why: ValidationError | str) -> list[str]:
    """The problems of one file of the catalog."""
    file = f"catalog/models/{name}.yaml"
    if isinstance(why, str):
        return [f"{file}: {why}."]
    return [line.replace(f"{file}.", f"{file}: ", 1) for line in lines(file, FieldInfo(annotation=CatalogEntry), why)]


def lines(key: str, block: FieldInfo, error: ValidationError) -> list[str]:
    """The problems of one block, which was read as what its field says."""
    errors = error.errors(include_url=False)
    written = [(e, _written(block, e)) for e in errors[:_MOST_LINES]]
    more = [f"{key}: and {len(errors) - _MOST_LINES} problems more."] if len(errors) > _MOST_LINES else []
    return [f"{_path(key, loc)}: {_text(e, _fields_along(block, loc))}" for e, loc in written] + more


def _written(root: FieldInfo, error: ErrorDetails) -> tuple[int | str, ...]:
    """The path in the words of a stack file: pydantic says `node_local` where nobody wrote `node-local`."""
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        return loc
    done: tuple[int | str, ...] = ()
    for part in loc:
        block, _ = _fields_along(root, done)[-1]
        field = block.model_fields.get(str(part)) if block else None
        done = (*done, (field.alias if field else None) or part)
    return done


def _path(key: str, loc: tuple[int | str, ...]) -> str:
    steps = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc if part != "[key]")
    return key + _short(steps)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _shown(value: object) -> str:
    try:
        return _short(repr(value))
    except ValueError:  # an integer with more digits than Python writes
        return "a number that is too long to be written"


def _text(error: ErrorDetails, along: list[tuple[type[BaseModel] | None, FieldInfo | None]]) -> str:
    block, field = along[-1]
    remedy = f" {field.description}" if field and field.description else ""
    given = _shown(error["input"])
    match error["type"]:
        case "extra_forbidden":
            known = _keys(along[-2][0] if len(along) > 1 else block)
            return f"unknown key. {did_you_mean(str(error['loc'][-1]), known)}Known keys: {choices(known)}."
        case "missing":
            return f"is missing.{remedy}"
        case "literal_error":
            valid = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            near = did_you_mean(str(error["input"]), valid) if isinstance(error["input"], str) else ""
            return f"{given} is none of the choices. {near}Choices: {', '.join(valid)}."
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping, not {given}.{f' Keys: {choices(_keys(block))}.' if block else ''}"
        case "too_short":
            return f"must not be empty.{remedy}"
        case "string_pattern_mismatch":
            return f"{given} is not allowed here.{remedy} Pattern: {error['ctx']['pattern']}"
        case _:
            return f"{error['msg'][0].lower()}{error['msg'][1:]}, not {given}.{remedy}"


def _keys(block: type[BaseModel] | None) -> list[str]:
    return [field.alias or name for name, field in block.model_fields.items()] if block else []


def _fields_along(root: FieldInfo, loc: tuple[int | str, ...]) -> list[tuple[type[BaseModel] | None, FieldInfo | None]]:
    """The block type and the field at each step of the path, the block itself first."""
    shape: Shape = root.annotation
    block = _block_in(shape)
    along: list[tuple[type[BaseModel] | None, FieldInfo | None]] = [(block, root)]
    for part in loc:
        field = next((f for n, f in block.model_fields.items() if (f.alias or n) == part), None) if block else None
        if field is not None:
            shape = field.annotation
        elif block is None:
            # A step through a list or a mapping: the type inside is what comes next.
            shape = (get_args(_mapping_or_list(shape)) or (None,))[-1]
            field = along[-1][1]
        else:
            shape = None
        block = _block_in(shape)
        along.append((block, field))
    return along


def _block_in(shape: Shape) -> type[BaseModel] | None:
    """The model that a type stands for, through `Annotated` and `| None`; none for mappings and lists."""
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return shape
    if getattr(shape, "__origin__", None) in (list, dict, Mapping):
        return None
    return next((found for argument in get_args(shape) if (found := _block_in(argument))), None)


def _mapping_or_list(shape: Shape) -> Shape:
    while shape is not None and getattr(shape, "__origin__", None) not in (list, dict, Mapping):
        shape = next(iter(get_args(shape)), None)
    return shape
