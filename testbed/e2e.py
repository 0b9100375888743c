"""`make e2e`: the suites that need a cluster or a real engine, by ONLY=, by PART=, or all of them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dev import packages, preflight, python
from dev.locks import alone
from dev.paths import HOME, ROOT, VENV
from dev.progress import CommandError, say
from dev.toolchain import tools

from . import proof
from .suites import PARTS, SUITES, of_part, within


def main() -> None:
    """Run the chosen suites in a state folder of their own; leave nothing of it behind unless KEEP is set.

    A suite that was chosen and skipped a test has failed: it brings what it needs. PROOF=1 keeps what passed in
    docs/proof.json. Raises CommandError.
    """
    names = chosen(os.environ.get("ONLY") or "", os.environ.get("PART") or "", os.environ.get("TOUCHED") or "")
    recording = bool(os.environ.get("PROOF"))
    if recording and not proof.is_clean():
        msg = "PROOF=1: the work tree differs from its commit, so a proof would name the wrong one. Fix: commit first."
        raise CommandError(msg)
    python.ensure()
    if "engines" in names:
        _build_engines()
    found = _run(names)
    if recording:
        proof.record(found)
    for name, outcome in found.items():
        say(f"  {'✓' if outcome.passed else '✗'} {name}: {outcome}")
    if bad := [name for name, outcome in found.items() if not outcome.passed]:
        msg = f"{', '.join(bad)}: a test failed, was skipped, or did not run. KEEP=1 keeps the cluster"
        raise CommandError(msg)


def chosen(only: str, part: str, minutes: str) -> list[str]:
    """Return the suites to run, in order. Raises CommandError for a word that names none.

    `minutes` adds the suites of the other parts that changes since their last proof touch, up to that many minutes.
    """
    if only:
        if only not in SUITES:
            msg = f"ONLY={only}: no such suite. Fix: choose one of {', '.join(SUITES)}"
            raise CommandError(msg)
        return [only]
    if not part:
        return list(SUITES)
    if part not in PARTS:
        msg = f"PART={part}: no such part. Fix: choose one of {', '.join(PARTS)}"
        raise CommandError(msg)
    names = of_part(part)
    if not minutes:
        return names
    if not minutes.isdecimal():
        msg = f"TOUCHED={minutes}: not a number of minutes. Fix: write TOUCHED=10"
        raise CommandError(msg)
    touched = [name for name in proof.touched() if name not in names]
    more = within(int(minutes), touched, proof.read())
    say(f"Touched since their last proof: {', '.join(touched) or 'no other suite'}.")
    if left := [name for name in touched if name not in more]:
        parts = " and ".join(f"make e2e PART={part}" for part in PARTS if set(of_part(part)) & set(left))
        say(f"Beyond TOUCHED={minutes} minutes, left to {parts}: {', '.join(left)}.")
    return [name for name in SUITES if name in {*names, *more}]


def _build_engines() -> None:
    """Build what the tests of engines start as processes. Raises CommandError."""
    engines = (tools.OLLAMA, tools.LLAMA_SERVER)
    preflight.check(engines)
    packages.install(packages.IMAGES)
    for engine in engines:
        engine.ensure()


def _run(names: Sequence[str]) -> dict[str, proof.Outcome]:
    report = HOME / "e2e-report.xml"
    report.unlink(missing_ok=True)
    files = [file for name in names for file in SUITES[name].files]
    pytest: list[str | Path] = [
        VENV / "bin" / "python",
        "-m",
        "pytest",
        "-vv",
        "--durations=12",
        f"--junitxml={report}",
        *files,
    ]
    env = os.environ | {"LARDER_STATE": str(HOME / "e2e"), "LARDER_E2E": "1"}
    with alone(HOME / "e2e.lock", "another make e2e runs in this checkout"):
        try:
            subprocess.run(pytest, cwd=ROOT, env=env, check=False)
        finally:
            if not os.environ.get("KEEP"):
                subprocess.run([sys.executable, "-m", "testbed", "drop"], cwd=ROOT, env=env, check=True)
    return proof.outcomes(report, names)
