"""A resource monitor and an engine for the Pulumi SDK that record its requests."""
# ruff: noqa: D102, N802, ARG002 (the methods are the protocol's: pulumi/proto/pulumi/resource.proto, engine.proto)

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from components.settings.images import UNKNOWN

from . import properties

STACK = "pulumi:pulumi:Stack"
REGISTRY_IMAGE = "docker:index/getRegistryImage:getRegistryImage"
"""Function that asks a registry for the digest of a tag. A plan asks no registry and uses a placeholder."""
BUILT_IMAGE = "docker-build:index:Image"
"""Resource whose digest exists after its build. A plan uses a placeholder: Jobs and pods change with the tag."""


@dataclass(frozen=True)
class Registered:
    """One resource as the engine receives it."""

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: Mapping[str, Any]
    """Plain values; an unknown one is `properties.UNKNOWN`, a secret one `properties.Secret`."""
    dependencies: frozenset[str]
    provider: str
    protect: bool
    retain_on_delete: bool
    delete_before_replace: bool
    timeouts: Mapping[str, str]
    ignored: frozenset[str]
    """Properties whose changes Pulumi ignores."""
    aliases: frozenset[str]
    """Its former names under the same parent."""


@dataclass
class Recording:
    """Everything that one run of a program sent to the engine."""

    resources: list[Registered] = field(default_factory=list)
    """Resources in the order of registration: each follows its dependencies."""
    needs: dict[str, str] = field(default_factory=dict)
    """Objects that the program reads and never makes, by their names in it: a preview fails if one is missing."""
    outputs: dict[str, Any] = field(default_factory=dict)
    """Exports of the stack."""
    messages: list[tuple[str, str]] = field(default_factory=list)
    """(severity, text) of the program's log lines, without debug."""


class RecordingEngine:
    """An engine that records log lines."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:
        if request.severity != engine_pb2.DEBUG:
            self._recording.messages.append((engine_pb2.LogSeverity.Name(request.severity).lower(), request.message))
        return empty_pb2.Empty()


class RecordingMonitor:
    """A monitor that answers registrations as the engine does in a preview of a new stack.

    The SDK calls it in place of a connection's stub, with the protobuf messages that it would send.

    With `unknowns` all outputs are unknown until a resource exists. Otherwise the outputs are the inputs, as the
    Kubernetes provider previews them.
    """

    def __init__(self, recording: Recording, *, project: str, stack: str, unknowns: bool = False) -> None:
        self._recording = recording
        self._prefix = f"urn:pulumi:{stack}::{project}::"
        self._unknowns = unknowns
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, request: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:
        features = resource_pb2.ResourceMonitorFeature.values()
        return resource_pb2.DeploymentInfo(supportedFeatures=features)

    def RegisterResource(
        self,
        request: resource_pb2.RegisterResourceRequest,
    ) -> resource_pb2.RegisterResourceResponse:
        urn = self._urn(request)
        with self._lock:
            if any(known.urn == urn for known in self._recording.resources):
                msg = f"{request.type} {request.name!r} is registered twice under the same parent"
                raise ValueError(msg)
            self._recording.resources.append(
                Registered(
                    urn=urn,
                    type=request.type,
                    name=request.name,
                    parent=request.parent,
                    custom=request.custom,
                    inputs=properties.decode(request.object),
                    dependencies=frozenset(request.dependencies),
                    provider=request.provider or request.providers.get("kubernetes", ""),
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    delete_before_replace=request.deleteBeforeReplace,
                    timeouts={"create": request.customTimeouts.create, "update": request.customTimeouts.update},
                    ignored=frozenset(request.ignoreChanges),
                    aliases=frozenset(it.spec.name for it in request.aliases if it.spec.name),
                )
            )
        if request.type == BUILT_IMAGE:
            request.object.update({"digest": UNKNOWN})
        # In a preview no resource has an id yet, but a provider needs one for references.
        return resource_pb2.RegisterResourceResponse(
            urn=urn,
            id=properties.UNKNOWN_ID if request.custom else "",
            object=None if self._unknowns else request.object,
        )

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:
        with self._lock:
            self._recording.needs[request.name] = request.id
        return resource_pb2.ReadResourceResponse(
            urn=self._urn(request), id=request.id, properties=request.properties, result=resource_pb2.SUCCESS
        )

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:
        if request.tok != REGISTRY_IMAGE:
            msg = f"the program calls {request.tok}, and a recording has no answer for it"
            raise ValueError(msg)
        answer = struct_pb2.Struct()
        answer.update({**request.args, "id": UNKNOWN, "sha256Digest": UNKNOWN})
        return resource_pb2.ResourceInvokeResponse(**{"return": answer})

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> empty_pb2.Empty:
        if f"::{STACK}::" in request.urn:
            self._recording.outputs.update(properties.decode(request.outputs))
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: empty_pb2.Empty) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def _urn(self, request: resource_pb2.RegisterResourceRequest | resource_pb2.ReadResourceRequest) -> str:
        parent_type = request.parent.split("::")[2] if request.parent else ""
        inherited = "" if parent_type in ("", STACK) else f"{parent_type}$"
        return f"{self._prefix}{inherited}{request.type}::{request.name}"
