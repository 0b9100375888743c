"""Which stacks a change of files touches."""

import pytest

from preview.touched import find_touched_stacks

STACKS = {"dev": ["alpha"], "prod": ["alpha", "beta"], "broken": None}
ALL = sorted(STACKS)


@pytest.mark.parametrize(
    ("path", "stacks"),
    [
        ("Pulumi.dev.yaml", ["dev"]),
        ("Pulumi.gone.yaml", ["gone"]),
        ("Pulumi.yaml", ALL),
        ("__main__.py", ALL),
        ("components/caching/none.py", ALL),
        ("components/settings/Pulumi.dev.yaml", ALL),
        ("policies/rules.py", ALL),
        ("requirements.lock", ALL),
        ("catalog/models/beta.yaml", ["broken", "prod"]),
        ("catalog/models/unused.yaml", ["broken"]),
        ("catalog/instances/aws.yaml", ALL),
        ("sidecar/larder_sidecar/config/gateway.py", ALL),
        ("sidecar/larder_sidecar/gateway/app.py", []),
        ("docs/policies.md", []),
        ("README.md", []),
        ("tests/policies/test_rules.py", []),
        (".github/workflows/preview.yml", []),
        ("a file of tomorrow", ALL),
        ("Pulumi.$(id).yaml", ALL),  # no name of a stack, and never one of a job
    ],
)
def test_a_path_touches(path: str, stacks: list[str]) -> None:
    assert find_touched_stacks([path], STACKS) == stacks


def test_paths_add_up() -> None:
    assert find_touched_stacks(["Pulumi.dev.yaml", "docs/a.md", "catalog/models/beta.yaml"], STACKS) == [
        "broken",
        "dev",
        "prod",
    ]
    assert find_touched_stacks([], STACKS) == []
