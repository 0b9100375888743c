"""The check of GGUF files, held against the reader of the real llama-server."""

import re
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from larder_sidecar.weights.errors import GgufError

from bench.processes import free_port
from tests.engines.process import built, lacking
from tests.sidecar.weights.store.test_gguf import BAD, SIZES, check, many, one, tables, tensor

_READ = re.compile(r"gguf_init|not within the file bounds|architecture|is duplicated")
"""Words of an engine that got no further than the file itself."""


def refusal(content: bytes) -> str:
    """Return llama-server's words on a file that it cannot read; '' if it gets on to the model in it."""
    binary = built("llama-server", "bin/llama-server")
    if binary is None:
        lacking("no llama-server: build the toolchain with `make up`")
        raise AssertionError
    with tempfile.TemporaryDirectory(prefix="larder-gguf-") as folder:
        path = Path(folder) / "x.gguf"
        path.write_bytes(content)
        command = [str(binary), "-m", str(path), "--port", str(free_port())]
        # None of these files has the numbers without which no model is built: it always ends.
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode not in (0, -6, -11), done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if " E " in line and _READ.search(line)]
    return "\n".join(lines)


@pytest.mark.parametrize("content", [content for content, _ in BAD.values()], ids=BAD.keys())
def test_what_we_refuse_llama_cpp_refuses(content: bytes) -> None:
    assert refusal(content)


GOOD = {
    **{f"type {kind}": one(tensor(256, kind=kind), data=size) for kind, size in SIZES.items()},
    "two tensors": many(tensor(4), tensor(4, name="u", offset=32), data=128),
    "a name of 63 bytes": one(tensor(4, name="n" * 63)),
    "nothing behind the last value": one(tensor(4), data=16),
    "a scalar": one(tensor()),
}


@pytest.mark.parametrize("content", GOOD.values(), ids=GOOD.keys())
def test_what_we_take_llama_cpp_reads(content: bytes) -> None:
    check(content)
    assert refusal(content) == ""


@settings(max_examples=100, deadline=None, derandomize=True)
@given(tables())
def test_no_tensor_table_that_we_take_is_refused_by_llama_cpp(content: bytes) -> None:
    said, why_not = refusal(content), ""
    try:
        check(content)
    except GgufError as error:
        why_not = error.reason
    # A tensor without an element is refused by some versions of llama.cpp only, a type of tomorrow by all of today. Of
    # sizes near 2^63 its own arithmetic overflows (ggml_nbytes): it finds out as it reads what is not there.
    ours_alone = re.search(r"extent 0|end at byte \d{17,}", why_not)
    assert bool(said) == bool(why_not) or ours_alone or "invalid ggml type 43" in said, (why_not, said)
