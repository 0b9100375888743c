"""Declares what objects.json lists, with the options it gives; the provider is the plugin under test."""

import json
from pathlib import Path

import pulumi
from pulumi_kubernetes.provider import Provider

declared = json.loads(Path("objects.json").read_text())
provider = Provider("cluster", **declared["provider"])
resources: dict[str, pulumi.CustomResource] = {}
for item in declared["objects"]:
    options = dict(item["options"])
    if seconds := options.pop("timeout", None):
        options["custom_timeouts"] = pulumi.CustomTimeouts(create=seconds, update=seconds, delete=seconds)
    if (holder := options.pop("after", None)) is not None:
        options["depends_on"] = [resources[name] for name in holder]
    options["aliases"] = [pulumi.Alias(name=name) for name in options.get("aliases", ())]
    manifest, kind = item["manifest"], options.pop("type", None)
    for key in item["secret"]:
        manifest[key] = pulumi.Output.secret(manifest[key])
    group = manifest["apiVersion"] if "/" in manifest["apiVersion"] else f"core/{manifest['apiVersion']}"
    resources[item["name"]] = pulumi.CustomResource(
        f"kubernetes:{group}:{kind or manifest['kind']}",
        item["name"],
        # Outputs named here are read back into the resource, so that the state's form is exercised as by the SDK.
        manifest | {"status": None},
        pulumi.ResourceOptions(provider=provider, **options),
    )
    pulumi.export(item["name"], resources[item["name"]].id)
