"""`larder-sidecar manager`: read the file, report its problems, run."""

import argparse

from .. import role
from ..config.manager import InferenceService, ManagerConfig

EXAMPLE = ManagerConfig(
    inference_service=InferenceService(
        namespace="ai",
        predictor={
            "minReplicas": 1,
            "maxReplicas": 1,
            "deploymentStrategy": {"type": "Recreate"},
            "model": {"modelFormat": {"name": "custom"}, "runtime": "vllm-runtime"},
        },
        storage_uri="pvc://venus-model-storage/{id}",
    ),
)

_DESCRIPTION = """\
Serve the catalog that git-sync publishes, and make one of its models the active one.

  GET  /models, /models/<id>          the catalog; entries that cannot be used are listed with the reason
  GET  /active                        what serves, what is under way, how the last change ended
  POST /models/activate {"id": "…"}   apply the InferenceService, wait until it is ready, go back if it never is
  POST /models/deactivate             serve nothing
"""

_EPILOG = """\
Changes need the token, one at a time; without a token file the manager does not start:

  openssl rand -hex 32 > token
  larder-sidecar manager --config manager.json
  curl localhost:8080/models
  curl -H "Authorization: Bearer $(cat token)" --json '{"id": "tinyllama-1.1b-chat"}' localhost:8080/models/activate

Answers: 200 it is ready · 400 body · 401 token · 404 no such model · 409 another change, another owner of the same
fields, or the object is being deleted · 422 the API server refused it · 502 it did not become ready, with the reason
and the rollback's result · 503 no catalog or cluster · 507 the disk of `state` is full, and nothing was changed. Port
`admin` has /livez and /readyz.

A complete file; outside of a cluster `api` names the API server, a token of a ServiceAccount and the cluster's CA:

"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "manager",
        help="activate one model of a catalog",
        description=_DESCRIPTION,
        epilog=_EPILOG + EXAMPLE.to_json(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    role.add_arguments(parser, "manager", _run)


def _run(arguments: argparse.Namespace) -> int:
    # Not needed by `--help` and for a bad file.
    from ..bearer import TokenError
    from ..http.listener import ListenError
    from .history import StateError
    from .kube import ApiError
    from .serve import serve

    return role.run(arguments, "manager", ManagerConfig, serve, (TokenError, StateError, ApiError, ListenError))
