"""Runner for test-model-download.sh, by which users of the download service test it, unchanged.

It asks localhost:8080, to which kubectl forwards: here curl's own settings lead to the gateway, kubectl and sleep do
nothing, and where there is no jq a small one stands in for it.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

REPO, FILE = "TheBloke/phi-3-mini-4k-instruct-GGUF", "phi-3-mini-4k-instruct.Q4_K_M.gguf"
SCRIPT = Path(__file__).parent / "test-model-download.sh"
_JQ = f"""#!{sys.executable}
import json, sys
for value in map(json.loads, filter(str.strip, [sys.stdin.read()])):
    for key in filter(None, sys.argv[1].split(".")):
        value = value[key]
    print(json.dumps(value, indent=2))
"""


async def run(port: int, folder: Path) -> tuple[int, dict[int, str]]:
    """Return the exit status, and the output of each numbered step after its title."""
    programs = folder / "bin"
    programs.mkdir()
    _program(programs / "kubectl", "#!/bin/sh\n")
    _program(programs / "sleep", "#!/bin/sh\n")
    if shutil.which("jq") is None:
        _program(programs / "jq", _JQ)
    (folder / ".curlrc").write_text(f'connect-to = "localhost:8080:127.0.0.1:{port}"\nnoproxy = "*"\nmax-time = 60\n')
    path = f"{programs}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "bash", SCRIPT, env={"PATH": path, "HOME": str(folder)}, stdout=asyncio.subprocess.PIPE, cwd=folder
    )
    said, _ = await process.communicate()
    steps = re.split(r"^(\d)\. .*\n", said.decode(), flags=re.MULTILINE)
    return process.returncode or 0, {int(number): text for number, text in zip(steps[1::2], steps[2::2], strict=True)}


def _program(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o755)


def check(steps: dict[int, str]) -> str:
    """Compare every step with the guide; return the text that the model answered with."""
    info = json.loads(steps[1])
    assert info["status"] == "running"
    assert {"health", "generate", "models", "completions", "pull"} <= info["endpoints"].keys()
    assert info["download_status"] == {"in_progress": False, "current_model": None, "current_filename": None}
    assert steps[2].strip() == '"ok"'
    stem = FILE.removesuffix(".gguf")
    assert stem not in [model["id"] for model in json.loads(steps[3])["data"]]
    lines = [json.loads(line) for line in steps[4].splitlines() if line.startswith("{")]
    assert lines[0].items() >= {"status": "starting", "model": REPO, "filename": FILE}.items()
    assert lines[-1].items() >= {"status": "complete", "filename": FILE}.items()
    assert lines[-1]["path"].endswith(f"/{FILE}")
    assert lines[-1]["size_mb"] >= 0
    assert stem in [model["id"] for model in json.loads(steps[5])["data"]]
    answer, _, end = steps[6].partition("\n}\n")
    assert "All tests complete!" in end
    return str(json.loads(answer + "\n}")["response"])
