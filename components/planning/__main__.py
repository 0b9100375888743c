"""`python -m components.planning plan|render`: what `make plan` and `make render` run."""

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import ROOT
from ..settings import SettingsError

IMAGES = "larder:images"
PLACEHOLDERS = {name: f"{name}@sha256:{'0' * 64}" for name in ("sidecar", "ollama")}

EXAMPLES = """examples:
  python -m components.planning plan --stack dev
  python -m components.planning plan --stack dev --overlay .larder/overlay.yaml
  python -m components.planning render --stack dev --overlay images.yaml --out manifests/
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 where the settings are refused, each problem on a line of stderr; 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1


def _plan(options: argparse.Namespace) -> int:
    # Here and below: the imports cost more than a wrong call should.
    from ..settings import parse
    from ..settings.read import read_catalog
    from .plan import make_plan
    from .program import record
    from .report import report

    config = _config(options)
    notes: list[str] = []
    if config.get(IMAGES) is None:
        config[IMAGES] = PLACEHOLDERS
        notes.append(f"{IMAGES}: absent, so placeholders stand in; `make up` passes the images it has built.")
    settings = parse(config, stack=options.stack, catalog=read_catalog(ROOT), encrypted=_encrypted(config))
    recording = record(config, stack=options.stack)
    print(report(options.stack, settings, make_plan(settings), recording, notes), end="")
    return 0


def _render(options: argparse.Namespace) -> int:
    from .manifests import render, write
    from .program import record

    config = _config(options)
    files, left_out = render(record(config, stack=options.stack, secret_keys=_encrypted(config)))
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
    from ..settings.sources import NAMESPACE, merged, read_overlay
    from .program import stack_config

    config = {key: value for key, value in stack_config(options.stack).items() if key.startswith(NAMESPACE)}
    return merged(config, read_overlay(options.overlay))


def _encrypted(config: Mapping[str, object]) -> frozenset[str]:
    from ..settings.sources import holds_ciphertext

    return frozenset(key for key, value in config.items() if holds_ciphertext(value))


def _stack(name: str) -> str:
    known = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("Pulumi.*.yaml"))
    if name not in known:
        msg = f"no Pulumi.{name}.yaml. Known stacks: {', '.join(known)}"
        raise argparse.ArgumentTypeError(msg)
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m components.planning",
        description="The program through the real SDK, without CLI, cluster, plugin or credentials.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    plan = commands.add_parser("plan", help="print the resource tree, the settings in force and what they ask for")
    plan.set_defaults(run=_plan)
    render = commands.add_parser("render", help="write the manifests as files")
    render.set_defaults(run=_render)
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the files, one a resource")
    for command in (plan, render):
        command.add_argument("--stack", type=_stack, default="dev", help="which Pulumi.<stack>.yaml (default dev)")
        command.add_argument(
            "--overlay",
            metavar="FILE",
            default=os.environ.get("LARDER_OVERLAY"),
            help="YAML merged over the stack config (default: environment LARDER_OVERLAY)",
        )
    return parser


if __name__ == "__main__":
    gc.disable()  # a quarter of the time would go into walking the SDK's classes, none of which is ever garbage
    sys.exit(main())
