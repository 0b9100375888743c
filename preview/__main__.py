"""`python -m preview plan|check|render|comment|touched`: `make plan`, `make render`, and pull requests."""

import argparse
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components import ROOT
from components.settings import Problem, SettingsError
from components.settings.clusters import is_testbed
from components.settings.sources import NAMESPACE, keys_with_ciphertext

from .placeholders import later, stand_in

if TYPE_CHECKING:
    from components.settings import Settings

MODELS, CLUSTER = "larder:models", "larder:cluster"

EXAMPLES = """examples:
  python -m preview plan --stack dev
  python -m preview plan --stack dev --overlay .larder/overlay.yaml
  python -m preview plan --stack dev --json after.json
  python -m preview plan --stack dev --why
  python -m preview render --stack dev --overlay images.yaml --out manifests/
  python -m preview comment --before before.json --after after.json
  git diff --name-only -z main | python -m preview touched
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0; 1 if settings or policies refuse, with each problem on stderr; 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1


def _plan(options: argparse.Namespace) -> int:
    # Imported late, here and below, so that a usage error is quick.
    from .document import PlanDocument

    try:
        return _planned(options)
    except SettingsError as error:
        if options.json:
            options.json.write_text(PlanDocument(stack=options.stack, problems=list(error.lines)).to_json())
        raise


def _planned(options: argparse.Namespace) -> int:
    from components.plan.plan import make_plan

    from .document import document
    from .findings import findings, has_mandatory
    from .program import record
    from .report import report
    from .sections import more

    config = _config(options)
    notes = stand_in(config)
    settings = _read(options, config)
    plan, recording = make_plan(settings), record(config, stack=options.stack, secret_keys=keys_with_ciphertext(config))
    found = findings(recording, options.stack)
    planned = document(options.stack, settings, plan, recording, found)
    asked, planned = more(
        config, settings, planned, secret_keys=keys_with_ciphertext(config), before=options.before, why=options.why
    )
    print(report(options.stack, settings, plan, recording, found, notes, asked), end="")
    if options.json:
        options.json.write_text(planned.to_json())
    if has_mandatory(found):
        print("Mandatory policies are broken; see Policies above.", file=sys.stderr)
        return 1
    return 0


def _read(options: argparse.Namespace, config: Mapping[str, object]) -> "Settings":
    from components.settings import parse
    from components.settings.read import read_catalog

    return parse(config, stack=options.stack, catalog=read_catalog(ROOT), encrypted=keys_with_ciphertext(config))


def _check(options: argparse.Namespace) -> int:
    from .program import stack_config

    written = _ours(stack_config(options.stack, options.folder))
    served = {**written, MODELS: _served(options.model or [], written.get(MODELS))}
    if options.kubernetes and isinstance(cluster := written.get(CLUSTER), dict):
        served[CLUSTER] = {**cluster, "kubernetes": options.kubernetes}
    stand_in(served)
    wrong = _unknown_models(options, written)
    try:
        settings = _read(options, served)
    except SettingsError as error:
        raise SettingsError([*wrong, *error.problems]) from error
    known = ", ".join(options.node)
    wrong += [
        Problem(
            f"larder:node-pools.{name}.hosts[{index}]", f"the cluster has no node {host!r}. Fix: name one of {known}."
        )
        for name, pool in settings.node_pools.items()
        for index, host in enumerate(pool.hosts or ())
        if options.node and host not in options.node
    ]
    if wrong:
        raise SettingsError(wrong)
    if options.json:
        print(json.dumps({"engines": [stack.runs for stack in settings.blocks.values()], "models": settings.models}))
    return 0


def _served(offered: list[str], written: object) -> object:
    """Return the models on offer that the file names, else the first on offer; what the file says if none is."""
    return [model for model in offered if isinstance(written, list) and model in written] or offered[:1] or written


def _unknown_models(options: argparse.Namespace, written: Mapping[str, object]) -> list[Problem]:
    """Return the problems of the models in the file, if the run serves others."""
    if not options.model:
        return []
    try:
        _read(options, written)
    except SettingsError as error:
        return [problem for problem in error.problems if problem.within(MODELS)]
    return []


def _comment(options: argparse.Namespace) -> int:
    from .comment import comment
    from .document import PlanDocument

    before, after = (
        {plan.stack: plan for plan in map(PlanDocument.read, side)} for side in (options.before, options.after)
    )
    stacks = sorted({*before, *after})
    print(comment([(before.get(stack), after.get(stack)) for stack in stacks]), end="")
    return 0


def _touched(_: argparse.Namespace) -> int:
    from .touched import find_touched_stacks

    # A path that is not UTF-8 does not belong to Larder.
    paths = sys.stdin.buffer.read().decode(errors="replace").split("\0")
    configs = {name: _readable(name) for name in _stacks()}
    models = {name: config and config.get(f"{NAMESPACE}models") for name, config in configs.items()}
    found = find_touched_stacks(filter(None, paths), {n: m if isinstance(m, list) else None for n, m in models.items()})
    clusters = {name: (config or {}).get(f"{NAMESPACE}cluster") for name, config in configs.items()}
    elsewhere = [n for n in found if isinstance(cluster := clusters.get(n), dict) and not is_testbed(cluster)]
    print(f"stacks={json.dumps(found)}\ndeployed={json.dumps(elsewhere)}")
    return 0


def _readable(stack: str) -> dict[str, object] | None:
    from .program import stack_config

    try:
        return stack_config(stack)
    except SettingsError:  # its own plan reports the reason
        return None


def _render(options: argparse.Namespace) -> int:
    from .program import record
    from .render import render, write

    config = _config(options)
    if unknown := list(later(_read(options, config))):
        # A tool that applies files resolves no digests.
        raise SettingsError(
            [
                Problem(image.path, f"{image.text}, and files need it before. Fix: name the image by its digest.")
                for image in unknown
            ]
        )
    files, left_out = render(record(config, stack=options.stack, secret_keys=keys_with_ciphertext(config)))
    try:
        changed = write(files, options.out)
    except OSError as error:
        print(f"--out {options.out}: cannot write {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(files)} files, {len(changed)} changed. kubectl apply -f {options.out}")
    for name, reason in left_out.items():
        print(f"left out: {name} {reason}.", file=sys.stderr)
    return 0


def _config(options: argparse.Namespace) -> dict[str, object]:
    from components.settings.sources import merged, read_overlay

    from .program import stack_config

    return merged(_ours(stack_config(options.stack)), read_overlay(options.overlay))


def _ours(config: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key.startswith(NAMESPACE)}


def _stacks() -> list[str]:
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("Pulumi.*.yaml"))


def _stack(name: str) -> str:
    if name not in (known := _stacks()):
        msg = f"no Pulumi.{name}.yaml. Known stacks: {', '.join(known)}"
        raise argparse.ArgumentTypeError(msg)
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m preview",
        description="Preview the program through the real SDK, without CLI, cluster, plugin or credentials.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plan = commands.add_parser("plan", help="print the settings in force, the resource tree, policies and admission")
    plan.set_defaults(run=_plan)
    check = commands.add_parser("check", help="print the problems of a stack file; print nothing if it is valid")
    check.set_defaults(run=_check)
    check.add_argument("--folder", type=Path, default=ROOT, metavar="DIR", help="folder of the stack file")
    check.add_argument("--node", action="append", default=[], metavar="NAME", help="a node of the cluster; repeat it")
    check.add_argument("--kubernetes", metavar="VERSION", help="version of the cluster, as in 1.36")
    check.add_argument(
        "--model",
        action="append",
        metavar="ID",
        help="a model that the run has; it serves those that the file names, else the first; repeat it",
    )
    check.add_argument("--json", action="store_true", help="print the engines and models of a valid file")
    check.add_argument("--stack", type=_stack, default="dev", help="stack of Pulumi.<stack>.yaml (default dev)")
    render = commands.add_parser("render", help="write the manifests as files")
    render.set_defaults(run=_render)
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files, one per resource")
    plan.add_argument("--json", type=Path, metavar="FILE", help="write the plan, or its refusal, for tools")
    plan.add_argument("--why", action="store_true", help="list for every strategy and stack if it works, or why not")
    plan.add_argument(
        "--before",
        type=Path,
        metavar="FILE",
        help="plan of the deployed stack, from plan --json; shows what a swap would do",
    )
    comment = commands.add_parser("comment", help="print the differences between plans as Markdown")
    comment.set_defaults(run=_comment)
    for side in ("--before", "--after"):
        comment.add_argument(
            side, type=Path, nargs="*", default=[], metavar="FILE", help="plans written by plan --json"
        )
    touched = commands.add_parser(
        "touched", help="read changed paths, separated by NUL; print the stacks that they touch"
    )
    touched.set_defaults(run=_touched)
    for command in (plan, render):
        command.add_argument("--stack", type=_stack, default="dev", help="stack of Pulumi.<stack>.yaml (default dev)")
        command.add_argument(
            "--overlay",
            metavar="FILE",
            default=os.environ.get("LARDER_OVERLAY"),
            help="YAML merged over the stack config (default: environment LARDER_OVERLAY)",
        )
    return parser


if __name__ == "__main__":
    gc.disable()  # collection would take a quarter of the time, and the SDK's classes are never garbage
    sys.exit(main())
