"""Run many command lines of one module in this process, with the code that is on the path.

`python -P commands.py MODULE` reads a JSON list of argument lists, and prints a JSON list of {"status", "errors"}.
It imports nothing of Larder but MODULE, so that it runs in a checkout of any commit.
"""

import contextlib
import gc
import importlib
import io
import json
import sys
import traceback
from collections.abc import Callable, Sequence


def outcome(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> dict[str, object]:
    """Return how one call ended; an exception that is not meant is an outcome too."""
    errors = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        try:
            status: object = main(arguments)
        except SystemExit as end:
            status = end.code
        except Exception:  # noqa: BLE001 (whatever it is, the other commit may end otherwise)
            return {"status": "crashed", "errors": traceback.format_exc(limit=-1)}
    return {"status": status, "errors": errors.getvalue()}


if __name__ == "__main__":
    gc.disable()  # as the module's own process does
    run = importlib.import_module(f"{sys.argv[1]}.__main__").main
    print(json.dumps([outcome(run, arguments) for arguments in json.load(sys.stdin)]))
