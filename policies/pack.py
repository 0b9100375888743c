"""The rules as a policy pack of Pulumi, the second runner after `make plan`."""

from collections.abc import Mapping, Sequence
from functools import partial

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from manifests.reading import Property

from .rule import Resource, Rule, StackRule
from .rules import RULES

UNKNOWN = object()
"""Placeholder for a value that is unknown before the resource is made."""


def serve() -> None:
    """Answer the engine until it ends this process."""
    PolicyPack("larder", [_policy(rule) for rule in RULES])


def _policy(rule: Rule | StackRule) -> Policy:
    level = EnforcementLevel(rule.level.value)
    if isinstance(rule, StackRule):
        return StackValidationPolicy(rule.name, rule.refuses, partial(_judge_stack, rule), level)
    return ResourceValidationPolicy(rule.name, rule.refuses, partial(_judge, rule), level)


def _judge(rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
    for _, text in rule.judge([_resource(args)]):
        report(text, None)


def _judge_stack(rule: StackRule, args: StackValidationArgs, report: ReportViolation) -> None:
    urns = {_resource(given): given.urn for given in args.resources}
    for resource, text in rule.judge(list(urns)):
        report(text, urns[resource])


def _resource(given: ResourceValidationArgs | PolicyResource) -> Resource:
    return Resource(
        type=given.resource_type,
        name=given.name,
        props=to_plain_value(given.props),
        stack=given.urn.split("::")[0].rpartition(":")[2],
        protect=given.opts.protect,
    )


def to_plain_value(value: Property) -> Property:
    """Return the plain value behind the SDK's proxies, which raise for unknown values."""
    if isinstance(value, Mapping):
        return {key: _at(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_at(value, index) for index in range(len(value))]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _at(holder: Property, key: str | int) -> Property:
    try:
        return to_plain_value(holder[key])
    except UnknownValueError:
        return UNKNOWN
