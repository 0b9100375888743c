"""Stack files, good and bad: those of the unit tests, and generated ones.

A generated file is a valid one after one to three changes: it lacks a key, has an unknown key or a value of another
type, or takes a value or a block from another valid file, so that blocks contradict each other. The same seed makes
the same files.
"""

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from components.settings import SettingsError, parse
from tests.program.previews import CATALOG
from tests.rails.plans import cases
from tests.rails.trees import HOME, ROOT, RailError

Config = dict[str, Any]
Place = tuple[Any, ...]
STACK = "dev"
"""Name of the stack for every file."""
_ODD: Sequence[Any] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**63,
    "",
    "x",
    "20Gi",
    "1.36",
    "https://a.example",
    [],
    {},
    ["x"],
    {"x": 1},
)
"""Values of every type; some are valid in some place."""


def written(tests: str = "tests/unit/settings") -> list[Config]:
    """Return the stack configs that the unit tests of settings read. Raises RailError."""
    file = HOME / f"harvest.{os.getpid()}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    words = ["-q", "-p", "tests.rails.harvest", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, tests],
        cwd=ROOT, env=os.environ | {"LARDER_HARVEST": str(file)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode or not file.exists():
        msg = f"{tests}: the tests do not pass, so their stack files are not known:\n{done.stdout[-2000:]}"
        raise RailError(msg)
    found = list(json.loads(file.read_text()))
    file.unlink()
    return found


def generated(count: int, seed: str) -> Iterator[Config]:
    """Yield that many stack configs, the valid ones first."""
    valid = [dict(config) for _, config in cases().values() if config and _is_valid(config)]
    yield from valid[:count]
    for number in range(count - len(valid)):
        chance = random.Random(f"{seed}/{number}")
        config = copy.deepcopy(chance.choice(valid))
        for _ in range(chance.choice((1, 1, 2, 3))):
            _changed(chance, config, chance.choice(valid))
        yield config


def _is_valid(config: Mapping[str, Any]) -> bool:
    try:
        parse(config, stack=STACK, catalog=CATALOG)
    except SettingsError:
        return False
    return True


def _changed(chance: random.Random, config: Config, other: Config) -> None:
    """Change one place of a config."""
    places = [place for place in _places(config) if place]
    if places:
        chance.choice(_CHANGES)(chance, config, chance.choice(places), other)


def _places(value: Any, at: Place = ()) -> list[Place]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in below for place in _places(item, (*at, key)))]


def _at(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _remove(chance: random.Random, config: Config, place: Place, other: Config) -> None:
    del _at(config, place[:-1])[place[-1]]


def _retype(chance: random.Random, config: Config, place: Place, other: Config) -> None:
    _at(config, place[:-1])[place[-1]] = copy.deepcopy(chance.choice(_ODD))


def _misspell(chance: random.Random, config: Config, place: Place, other: Config) -> None:
    parent, key = _at(config, place[:-1]), place[-1]
    if isinstance(parent, dict):
        wrong = chance.choice((f"{key}s", str(key)[:-1], str(key).replace("-", "_"), str(key).upper()))
        parent[wrong] = parent[key] if chance.getrandbits(1) else parent.pop(key)


def _transplant(chance: random.Random, config: Config, place: Place, other: Config) -> None:
    """Take a value from another valid file: at the same place if it has one, else a whole block."""
    theirs = [place for place in _places(other) if place]
    wanted = place if place in theirs else chance.choice([one for one in theirs if len(one) == 1])
    if wanted[:-1] in _places(config):
        _at(config, wanted[:-1])[wanted[-1]] = copy.deepcopy(_at(other, wanted))


def _move(chance: random.Random, config: Config, place: Place, other: Config) -> None:
    """Put a value of this file into another place of it: a pool's name where a model's is expected."""
    value = copy.deepcopy(_at(config, chance.choice(_places(config))))
    parent = _at(config, place[:-1])
    if isinstance(parent, list) and chance.getrandbits(1):
        parent.append(value)
    else:
        parent[place[-1]] = value


_Change = Callable[[random.Random, Config, Place, Config], None]
_CHANGES: Sequence[_Change] = (_remove, _retype, _misspell, _transplant, _transplant, _transplant, _move)
