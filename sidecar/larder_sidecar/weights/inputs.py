"""Inputs of both command lines: the default paths of plan and store, and readers of plan and token."""

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..config.layout import CONFIG_FILE, CONFIG_FOLDER, STORE
from ..config.weights import WeightsPlan
from .errors import PlanError

if TYPE_CHECKING:
    # argparse has no public name for what add_subparsers returns.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

CONFIG = Path(CONFIG_FOLDER, CONFIG_FILE)
ROOT = Path(STORE)


def add_store_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the plan and the store."""
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="plan, weights.json (default %(default)s)"
    )
    parser.add_argument(
        "--root", type=Path, default=ROOT, metavar="DIR", help="store, Ollama's OLLAMA_MODELS (default %(default)s)"
    )


def read_plan(path: Path) -> WeightsPlan:
    """Read weights.json. Raises PlanError with every problem of the file."""
    try:
        return WeightsPlan.from_json(path.read_bytes())
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}", "Pass a file with --config; --help shows an example.") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PlanError(f"{path}: {problems}", "Correct the file; --help shows a complete example.") from error


def read_token(path: Path | None) -> str | None:
    """Read the token from a file, else from HF_TOKEN; None without either. Raises PlanError, which never quotes it."""
    if path is None:
        where, token = "HF_TOKEN", os.environ.get("HF_TOKEN", "").strip()
        if not token:
            return None
    else:
        where = str(path)
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise PlanError(f"{where}: the token cannot be read", "Check the Secret and its mount.") from None
    if not re.fullmatch(r"[!-~]+", token):
        raise PlanError(f"{where}: the value is not a token", "Write one word of printable ASCII characters.")
    return token
