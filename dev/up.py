"""`make up`: deploy stack dev and get an answer from its endpoint."""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from . import existing
from .paths import STATE
from .progress import CommandError, say
from .pulumi import Stack
from .target import Target

ANSWER_WITHIN = 60.0
"""Seconds for the first answer after Pulumi says that everything is ready."""


def main() -> None:
    """Deploy everything and check it with a question."""
    stack, target = prepared()
    stack.shell(STATE / "env", target.programs)  # before the deployment, to debug a failed one
    say("\nDeploying stack dev")
    changes = stack.up(target.cluster_id)
    if not any(count for kind, count in changes.items() if kind != "same"):
        say("Nothing changed.")
    outputs = stack.outputs()
    url = f"http://{target.address}:{outputs['node_port']}"
    (STATE / "url.dev").write_text(url)
    ask(url, str(outputs["default_model"]))
    farewell(url, outputs)


def preview() -> None:
    """Print, as JSON, what `main` would change."""
    stack, _ = prepared()
    say(json.dumps(stack.preview()))


def prepared() -> tuple[Stack, Target]:
    """Return stack dev and its prepared target. Raise CommandError."""
    context, registry = os.environ.get("CONTEXT"), os.environ.get("REGISTRY")
    if bool(context) != bool(registry):
        msg = "CONTEXT= and REGISTRY= need each other. Fix: name the cluster, and a registry that both reach"
        raise CommandError(msg)
    target = existing.target(context, registry) if context and registry else _embedded()
    return Stack("dev", target.overlay, kubeconfig=target.kubeconfig), target


def _embedded() -> Target:
    from . import embedded  # an existing cluster needs no testbed

    return embedded.target()


def ask(url: str, model: str) -> None:
    """Ask one streamed question and print the answer as it comes. Raise CommandError if none comes."""
    question = "Why is the sky blue? One sentence."
    body = {"model": model, "stream": True, "max_tokens": 48, "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    say(f'\n> {question}   (POST {url}/v1/chat/completions, "model": "{model}")')
    deadline = time.monotonic() + ANSWER_WITHIN
    while True:
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN) as answer:
                text = "".join(_deltas(answer))
                break
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                msg = f"{url} answered {error.code}: {error.read(2000).decode(errors='replace')}"
                raise CommandError(msg) from error
            time.sleep(0.5)
        except (OSError, urllib.error.URLError) as error:
            # kube-proxy may lag behind the readiness that Pulumi waited for.
            if time.monotonic() > deadline:
                msg = f"{url} did not answer within {ANSWER_WITHIN:.0f} s: {error}"
                raise CommandError(msg) from error
            time.sleep(0.5)
    say(repr(text)[1:-1][:300])
    if not text:
        msg = f"{url} answered no text. Fix: read `kubectl -n ai logs -l app.kubernetes.io/part-of=larder -c gateway`"
        raise CommandError(msg)


def _deltas(lines: object) -> list[str]:
    found = []
    for line in lines:  # type: ignore[attr-defined]  # urllib types its answers as untyped IO
        data = line.decode().removeprefix("data: ").strip()
        if data.startswith("{"):
            found.append(json.loads(data)["choices"][0]["delta"].get("content") or "")
    return found


def farewell(url: str, outputs: Mapping[str, object]) -> None:
    """Print the addresses and the next steps."""
    served: Any = outputs["weights"]
    other = next(strategy for strategy in ("node-local", "none") if strategy != outputs["strategy"])
    say(f"""
Larder is up.
  URL        {url}        (make url)
  strategy   {outputs["strategy"]}
  weights    {", ".join(served["models"])} ({served["bytes"] / 2**20:,.1f} MiB)
Next
  curl {url}/v1/models
  change `strategy: {outputs["strategy"]}` to `strategy: {other}` in Pulumi.dev.yaml and run `make up` again
  . {os.path.relpath(STATE / "env")} && kubectl -n {outputs["namespace"]} get pods      (pulumi too)
  make down     removes the stack and keeps the weights;  make clean  removes the cluster, weights and all""")
