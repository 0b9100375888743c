"""Outcomes of the cases as a plugin decides them, through the real CLI, and the file of recorded ones."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from testbed.plugin.client import Client
from tests.plugin.cases import Case
from tests.plugin.manifests import HERE, Manifest
from tests.plugin.pods import SUCCEEDED, becoming, until
from tests.plugin.stack import Stack, declared

_REFUSED = re.compile(r"(?m)^  kubernetes:\S+ \((\S+)\):\n    error: (.*(?:\n    .*)*)")
"""One object among the diagnostics of a failed `up`."""

FILE = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The outcome of one case."""

    op: str
    """Pulumi's operation: create, update, replace, delete or same; or refused, if the preview or `up` fails."""
    deletes_first: bool = False
    """True if a replacement deletes the old object before it creates the new one."""
    differs: list[str] = field(default_factory=list)
    """Property paths that differ."""
    replaced_for: list[str] = field(default_factory=list)
    """Those that replace the object."""
    refused_by: str = ""
    """The first command that fails: preview, or up."""
    says: str = ""
    """The reason of a refusal."""
    unforeseen: str = ""
    """Reason for which previews cannot foresee the outcome, if they do not."""

    def step(self, case: Case) -> dict[str, Any]:
        """Return the outcome as a step of a preview, for `disagreements`."""
        side = case.after or case.before or {}
        return {
            "op": self.op,
            "urn": f"around::{case.name}",
            "kind": case.kind,
            "name": side["metadata"]["name"],
            "deletes_first": self.deletes_first,
            "differs": self.differs,
            "replaced_for": self.replaced_for,
        }


def read() -> dict[str, Recorded]:
    """Return the recorded outcomes by case."""
    return {name: Recorded(**outcome) for name, outcome in json.loads(FILE.read_text())["cases"].items()}


def write(facts: Mapping[str, str], outcomes: Mapping[str, Recorded]) -> None:
    """Write the outcomes, without values that are empty, and the facts about the run."""
    cases = {name: {key: value for key, value in asdict(one).items() if value} for name, one in outcomes.items()}
    FILE.write_text(json.dumps({**facts, "cases": cases}, indent=1) + "\n")


def outcomes(stack: Stack, api: Client, cases: Iterable[Case]) -> dict[str, Recorded]:
    """Deploy all cases as they are before, and preview and deploy them as they are after.

    A case that is refused stays as it is before, for the others to go on.
    """
    run = _Run(stack, {case.name: case for case in cases})
    with becoming(api, stack.namespace, SUCCEEDED):
        stack.declare(*run.objects(before=run.cases))
        stack.up()
        until(lambda: run.bound() <= _bound(api, stack.namespace))
        steps, refusals = run.previewed()
        late, text = run.deployed(refusals)
    found = {
        name: _outcome(
            steps.get(name, []), {"preview": refusals.get(name, ""), "up": late.get(name, "")}, _first_act(text, name)
        )
        for name in run.cases
    }
    return {
        name: replace(_anywhere(outcome, stack.namespace), unforeseen=run.cases[name].unforeseen)
        for name, outcome in found.items()
    }


@dataclass(frozen=True)
class _Run:
    """The cases in one stack."""

    stack: Stack
    cases: dict[str, Case]

    def objects(self, *, before: Collection[str], without: Collection[str] = ()) -> list[dict[str, Any]]:
        """Return the declarations: cases as they are before, and the others but for `without` as they are after."""
        found: list[dict[str, Any]] = []
        for case in (case for case in self.cases.values() if case.name not in without):
            given = [f"{case.name}-{number}" for number in range(len(case.given))]
            for number, manifest in enumerate(case.given):
                found.append(declared(given[number], self._here(manifest), after=given[:number]))
            side, options = (case.before, case.options[0]) if case.name in before else (case.after, case.options[1])
            if side is not None:
                name = case.former if case.former and case.name in before else case.name
                found.append(declared(name, self._here(side), after=given, **options))
        return found

    def _here(self, manifest: Manifest) -> Manifest:
        return dict(json.loads(json.dumps(manifest).replace(HERE, self.stack.namespace)))

    def bound(self) -> set[str]:
        """Return the names of claims that come with their volumes."""
        return {case.name for case in self.cases.values() if case.given and case.kind == "PersistentVolumeClaim"}

    def previewed(self) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
        """Return the steps of the preview by case, and the reasons of refusals."""
        refusals: dict[str, str] = {}
        steps: dict[str, list[dict[str, Any]]] = {}
        while True:
            self.stack.declare(*self.objects(before=refusals))
            plan = self.stack.planned()
            for step in plan["steps"]:
                name = step["urn"].rpartition("::")[2]
                if name not in refusals:
                    steps.setdefault(name, []).append(step)
            errors = [entry for entry in plan["diagnostics"] if entry["severity"] == "error"]
            if not errors:
                return steps, refusals
            found = {entry["urn"].rpartition("::")[2]: entry["message"] for entry in errors if entry.get("urn")}
            assert found.keys() <= self.cases.keys() - refusals.keys(), errors
            assert found, errors
            refusals |= found
            steps = {name: its for name, its in steps.items() if name in refusals}

    def deployed(self, refused: Collection[str]) -> tuple[dict[str, str], str]:
        """Deploy what the preview accepts; return the reasons of what `up` refuses all the same, and all it shows."""
        refusals: dict[str, str] = {}
        text = ""
        while True:
            self.stack.declare(*self.objects(before=refused, without=refusals))
            done = self.stack.run("up", "--yes", "--skip-preview")
            text += done.text
            if not done.code:
                return refusals, text
            found = dict(_REFUSED.findall(done.text))
            assert found, done.text
            assert found.keys() <= self.cases.keys() - refusals.keys(), done.text
            refusals |= found


def _outcome(steps: list[dict[str, Any]], refusals: Mapping[str, str], first_act: str) -> Recorded:
    ops = [step["op"] for step in steps]
    command = next((command for command, text in refusals.items() if text), "")
    op = "refused" if command else next((op for op in ("replace", *ops) if op in ops), "same")
    return Recorded(
        op=op,
        deletes_first=op == "replace" and first_act == "deleting original",
        differs=sorted({path for step in steps for path in step.get("detailedDiff") or {}}),
        replaced_for=sorted({path for step in steps for path in step.get("replaceReasons") or []}),
        refused_by=command,
        says=" ".join(refusals.get(command, "").split()),
    )


def _bound(api: Client, namespace: str) -> set[str]:
    claims = api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims")["items"]
    return {claim["metadata"]["name"] for claim in claims if claim["status"]["phase"] == "Bound"}


def _first_act(text: str, name: str) -> str:
    """Return the first half of a replacement according to the text of `up`."""
    found = re.search(rf" {name} (deleting original|creating replacement) ", text)
    return found[1] if found else ""


def _anywhere(outcome: Recorded, namespace: str) -> Recorded:
    """Return the outcome without the names of this run."""
    return replace(outcome, says=re.sub(rf"{namespace}", HERE, outcome.says)[:400])
