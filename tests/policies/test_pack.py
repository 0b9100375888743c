"""The pack as the CLI runs it, a process that answers over gRPC, reports the same as `make plan`."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from components import ROOT
from policies.rule import Resource
from policies.rules import RULES, judge
from tests.policies.test_rules import BROKEN, KEPT

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Marker that the engine sends for an unknown text (pulumi sdk/go/common/resource)."""


@pytest.fixture(scope="module")
def pack() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(ROOT / "policies")]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.kill()


def _findings(pack: analyzer_pb2_grpc.AnalyzerStub, resources: Sequence[Resource]) -> list[tuple[str, str, str]]:
    """Return (rule, URN, text) of every finding of the pack."""
    requests = [_request(resource) for resource in resources]
    fields = ("type", "properties", "urn", "name", "options")
    stack = analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(**{name: getattr(request, name) for name in fields}) for request in requests
        ]
    )
    answers = [(request.urn, pack.Analyze(request, timeout=10)) for request in requests]
    answers.append(("", pack.AnalyzeStack(stack, timeout=10)))
    return [
        (told.policyName, told.urn or urn, told.message.partition("\n")[2])
        for urn, answer in answers
        for told in answer.diagnostics
    ]


def _request(resource: Resource) -> Any:
    return analyzer_pb2.AnalyzeRequest(
        type=resource.type,
        name=resource.name,
        urn=_urn(resource),
        properties=json_format.ParseDict(dict(resource.props), struct_pb2.Struct()),
        options=analyzer_pb2.AnalyzerResourceOptions(protect=resource.protect),
    )


def _urn(resource: Resource) -> str:
    return f"urn:pulumi:{resource.stack}::larder::{resource.type}::{resource.name}"


def test_the_pack_names_every_rule_with_its_level(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    told = pack.GetAnalyzerInfo(empty_pb2.Empty(), timeout=10)
    levels = {"mandatory": analyzer_pb2.MANDATORY, "advisory": analyzer_pb2.ADVISORY}
    assert {p.name: p.enforcementLevel for p in told.policies} == {r.name: levels[r.level.value] for r in RULES}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_pack_reports_the_findings_of_the_rules(pack: analyzer_pb2_grpc.AnalyzerStub, rule: str) -> None:
    assert BROKEN[rule]
    for resources in [*(case for _, case in BROKEN[rule]), *KEPT[rule]]:
        expected = [(found.name, _urn(resource), text) for found, resource, text in judge(resources)]
        assert sorted(_findings(pack, resources)) == sorted(expected)


def test_an_unknown_value_hides_no_other_finding(pack: analyzer_pb2_grpc.AnalyzerStub) -> None:
    """The SDK ends a policy at the first unknown value, and a new stack's namespace is unknown in a preview."""
    _, (broken,) = BROKEN["pinned-images"][0]
    metadata = {**broken.props["metadata"], "namespace": UNKNOWN}
    seen = replace(broken, props={**broken.props, "metadata": metadata})
    assert [name for name, _, _ in _findings(pack, [seen])] == ["pinned-images"]
