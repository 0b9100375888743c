"""End-to-end suites: which part of the run each belongs to, and the files that make it worth running again."""

import fnmatch
from collections.abc import Collection, Iterable
from dataclasses import dataclass

CORE = "core"


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Test files that need the embedded cluster or a real engine.

    `minutes` is the measured duration on two cores with built tools. `touched_by` holds patterns, matched against the
    path of a changed file below the checkout; `*` matches slashes too.
    """

    part: str
    files: tuple[str, ...]
    minutes: float
    touched_by: tuple[str, ...] = ()

    def is_touched(self, changed: Iterable[str]) -> bool:
        """Return True if one of the changed files can change the outcome of this suite."""
        own = (*self.touched_by, *(f"{file}*" for file in self.files))
        return any(fnmatch.fnmatch(path, pattern) for path in changed for pattern in own)


SUITES = {
    "engines": Suite(part=CORE, files=("tests/engines",), minutes=1.5),
    "upgrade": Suite(
        part="2",
        files=("tests/e2e/test_upgrade.py",),
        minutes=4,
        touched_by=("components/*", "__main__.py", "dev/pulumi.py"),
    ),
    "ollama": Suite(part=CORE, files=("tests/e2e/test_ollama.py",), minutes=2.5),
    "ui": Suite(part=CORE, files=("tests/e2e/test_ui.py",), minutes=1),
    "front": Suite(part=CORE, files=("tests/e2e/test_front.py",), minutes=2),
    "plugin": Suite(
        part="2",
        files=("tests/plugin",),
        minutes=7,
        touched_by=("testbed/plugin/*", "manifests/*", "dev/pulumi.py"),
    ),
    "swap": Suite(part=CORE, files=("tests/e2e/test_swap.py",), minutes=3),
    "weights": Suite(
        part="2",
        files=("tests/e2e/test_weights_stay.py",),
        minutes=3,
        touched_by=("components/caching/*", "components/storage/*", "sidecar/larder_sidecar/weights/*"),
    ),
    "prune": Suite(
        part="2",
        files=("tests/e2e/test_prune.py",),
        minutes=1,
        touched_by=(
            "components/caching/prune.py",
            "components/jobs.py",
            "sidecar/larder_sidecar/weights/store/prune.py",
        ),
    ),
    "prebuilt": Suite(
        part="2",
        files=("tests/e2e/test_prebuilt.py",),
        minutes=2,
        touched_by=("components/caching/prebuilt_image.py", "sidecar/larder_sidecar/weights/*"),
    ),
    "bad-input": Suite(
        part="2",
        files=("tests/e2e/test_bad_input.py",),
        minutes=2,
        touched_by=("components/caching/*", "components/jobs.py", "sidecar/larder_sidecar/weights/*"),
    ),
    "manager": Suite(
        part="3",
        files=("tests/e2e/manager",),
        minutes=2,
        touched_by=("components/model_manager.py", "sidecar/larder_sidecar/manager/*", "catalog/*"),
    ),
    "kserve": Suite(part=CORE, files=("tests/e2e/test_kserve.py",), minutes=4),
    "shimmy": Suite(
        part="3",
        files=("tests/e2e/test_shimmy.py", "tests/e2e/test_shimmy_engine.py"),
        minutes=2,
        touched_by=("components/serving/shimmy.py", "sidecar/larder_sidecar/gateway/pull*"),
    ),
    "host": Suite(
        part="3",
        files=("tests/e2e/test_host.py",),
        minutes=2,
        touched_by=("testbed/cluster/*", "dev/embedded.py", "dev/up.py", "dev/locks.py", "dev/__main__.py"),
    ),
    "existing": Suite(
        part="3",
        files=("tests/e2e/test_existing.py",),
        minutes=1,
        touched_by=(
            "dev/existing.py",
            "dev/stack_file.py",
            "dev/up.py",
            "dev/packages.py",
            "dev/preflight.py",
            "dev/images/*",
        ),
    ),
}
"""The suites by the word after ONLY=, in the order in which they run.

`upgrade` is the first to deploy, for nothing of this commit may be there; `host` ends the cluster of those before it.
"""

PARTS = tuple(dict.fromkeys(suite.part for suite in SUITES.values()))


def of_part(part: str) -> list[str]:
    """Return the names of the suites of one part, in order."""
    return [name for name, suite in SUITES.items() if suite.part == part]


def within(minutes: float, touched: Collection[str], proven: Iterable[str]) -> list[str]:
    """Choose touched suites that fit into `minutes` together, those whose last proof is oldest first.

    `proven` lists suites by the age of their proof, oldest first; a suite that is not in it was never proven.
    """
    age = {name: at for at, name in enumerate(proven)}
    chosen = set()
    for name in sorted(touched, key=lambda name: age.get(name, -1)):
        if SUITES[name].minutes <= minutes:
            minutes -= SUITES[name].minutes
            chosen.add(name)
    return [name for name in SUITES if name in chosen]
