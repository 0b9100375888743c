"""The last run of each end-to-end suite that passed: docs/proof.json, which decides what a change has to run again."""

import json
import os
import platform
import subprocess
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from dev.paths import ROOT

from .suites import SUITES

PROOF = ROOT / "docs" / "proof.json"


@dataclass(frozen=True)
class Proof:
    """One passed run of a suite: the commit it ran at, the date, the machine, and each test with its seconds."""

    part: str
    commit: str
    date: str
    machine: str
    output: str
    tests: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """The result of one suite in one run of pytest."""

    counts: Mapping[str, int]
    """Number of tests by outcome: passed, failed, skipped."""
    tests: Mapping[str, float]
    """Seconds by the name of the test."""

    @property
    def passed(self) -> bool:
        """True if at least one test ran and each one passed: a suite that was asked for brings what it needs."""
        return set(self.counts) == {"passed"}

    def __str__(self) -> str:
        """Return the counts and the duration, as pytest writes them."""
        counts = ", ".join(f"{count} {word}" for word, count in sorted(self.counts.items())) or "no test ran"
        return f"{counts} in {sum(self.tests.values()):.0f} s"


def outcomes(report: Path, names: Iterable[str]) -> dict[str, Outcome]:
    """Read pytest's JUnit report and split it by suite."""
    # The report is pytest's own: nobody else writes below our state folder.
    cases = ET.parse(report).getroot().iter("testcase") if report.exists() else iter(())
    found: dict[str, tuple[Counter[str], dict[str, float]]] = {name: (Counter(), {}) for name in names}
    for case in cases:
        module = case.get("classname", "").replace(".", "/")
        for name, (counts, tests) in found.items():
            if any(f"{module}.py".startswith(file) for file in SUITES[name].files):
                bad = {"failure": "failed", "error": "failed", "skipped": "skipped"}
                word = next((bad[child.tag] for child in case if child.tag in bad), "passed")
                counts[word] += 1
                tests[case.get("name", "")] = round(float(case.get("time", 0)), 1)
    return {name: Outcome(dict(counts), tests) for name, (counts, tests) in found.items()}


def read() -> dict[str, Proof]:
    """Return the proofs on record by suite, oldest first."""
    kept = json.loads(PROOF.read_text()) if PROOF.exists() else {}
    proofs = {name: Proof(**value) for name, value in kept.items() if name in SUITES}
    return dict(sorted(proofs.items(), key=lambda item: item[1].date))


def record(found: Mapping[str, Outcome]) -> None:
    """Replace the proofs of the suites that passed. Proofs name a commit, so the work tree must be clean."""
    commit, date = _git("rev-parse", "HEAD"), time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"
    kept = {name: asdict(proof) for name, proof in read().items()}
    for name, outcome in found.items():
        if outcome.passed:
            kept[name] = asdict(Proof(SUITES[name].part, commit, date, machine, str(outcome), outcome.tests))
    ordered = {name: kept[name] for name in SUITES if name in kept}
    PROOF.write_text(json.dumps(ordered, indent=1) + "\n")


def is_clean() -> bool:
    """Return True if the work tree is what its commit holds, but for the record itself."""
    return not _git("status", "--porcelain", "--", ".", ":!docs")


def touched() -> list[str]:
    """Return the suites whose files changed since the commit at which they were last proven, in order."""
    proofs = read()
    return [name for name, suite in SUITES.items() if suite.is_touched(_changed(proofs.get(name)))]


def _changed(proof: Proof | None) -> list[str]:
    """List the files that changed since a proof; every file if that is unknown."""
    if proof is not None:
        try:
            return _git("diff", "--name-only", "--no-renames", proof.commit, "HEAD").splitlines()
        except subprocess.CalledProcessError:  # a shallow clone, or a commit of another repository
            pass
    return _git("ls-files").splitlines()


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
