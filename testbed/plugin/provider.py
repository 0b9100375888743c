"""Pulumi's resource provider protocol for Kubernetes, as far as the testbed needs it."""
# ruff: noqa: ANN401, ARG002, D102, N802 - the protocol names the methods, and protobuf messages share no type

import importlib.metadata
import threading
from typing import Any, Final

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from testbed.plugin import annotations, diff, naming, objects, settings
from testbed.plugin.client import ApiError, UnreachableError
from testbed.plugin.connection import Connection
from testbed.plugin.discovery import NoSuchKindError
from testbed.plugin.objects import AlreadyExistsError, Progress
from testbed.plugin.rpc import Engine, InitFailedError, NotOfferedError, RefusedError, answers
from testbed.plugin.values import (
    Manifest,
    decode,
    encode,
    mark_secrets,
    plain,
    redacted,
)
from testbed.plugin.waiting import NotReadyError

VERSION: Final = importlib.metadata.version("pulumi_kubernetes")
_NOT_SERVED: Final = ("kubernetes:helm.sh/", "kubernetes:kustomize", "kubernetes:yaml")


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider resource of a program: one API server, reached or not."""

    def __init__(self, engine_address: str = "") -> None:
        self._engine = Engine()
        self._engine.connect(engine_address)
        self._cancelled = threading.Event()
        self._connection = Connection.none("the provider has not been configured")

    @answers
    def Handshake(self, request: Any) -> provider_pb2.ProviderHandshakeResponse:
        self._engine.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    @answers
    def GetPluginInfo(self, request: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    @answers
    def CheckConfig(self, request: Any) -> provider_pb2.CheckResponse:
        failures = [
            provider_pb2.CheckFailure(property=name, reason=why)
            for name, why in settings.refusals(plain(decode(request.news)))
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    @answers
    def DiffConfig(self, request: Any) -> provider_pb2.DiffResponse:
        old, new = plain(decode(request.olds)), plain(decode(request.news))
        keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        replaces = settings.replaces_provider(old, new)
        changed = provider_pb2.DiffResponse.DIFF_SOME if keys else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changed, diffs=keys, replaces=replaces)

    @answers
    def Configure(self, request: Any) -> provider_pb2.ConfigureResponse:
        config = plain(decode(request.args)) or {
            key.removeprefix("kubernetes:config:"): value for key, value in request.variables.items()
        }
        if refused := settings.refusals(config):
            raise RefusedError("; ".join(f"kubernetes:{name}: {why}" for name, why in refused))
        self._engine.debug(f"kubernetes plugin {VERSION}: the stand-in of Larder's testbed, not the official plugin")
        self._connection = Connection.made(config, self._cancelled)
        if why := self._connection.unreachable:
            self._engine.warn("", f"configured Kubernetes cluster is unreachable: {why}")
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @answers
    def Check(self, request: Any) -> provider_pb2.CheckResponse:
        given = decode(request.news)
        manifest, kind_token = plain(given), naming.resource_type(request.urn)
        if kind_token.startswith(_NOT_SERVED) or "items" in manifest:
            raise NotOfferedError(
                f"{kind_token}: the stand-in plugin serves single objects only; declare them one by one"
            )
        manifest = objects.stated(manifest)
        failures = []
        if not manifest["metadata"].get("name"):
            failures.append(("metadata.name", "the stand-in plugin names nothing: state a name"))
        try:
            annotations.wait_for(manifest)
        except ValueError as error:
            failures.append(("metadata.annotations", str(error)))
        if not manifest["metadata"].get("namespace") and self._connection.namespaced(manifest):
            manifest["metadata"]["namespace"] = self._connection.namespace
        return provider_pb2.CheckResponse(
            inputs=encode(mark_secrets(manifest, given)),
            failures=[provider_pb2.CheckFailure(property=path, reason=why) for path, why in failures],
        )

    @answers
    def Diff(self, request: Any) -> provider_pb2.DiffResponse:
        old, new = plain(decode(request.old_inputs)), plain(decode(request.news))
        ignored = list(request.ignoreChanges)
        found = [change for change in diff.changes(old, new) if not diff.ignored(change.property_path, ignored)]
        replaces = [change.property_path for change in found if change.replaces]
        if annotations.asks(new, "replaceUnready") and new.get("kind") == "Job" and not self._is_ready(new):
            replaces.append('metadata.annotations["pulumi.com/replaceUnready"]')
        detail = {
            change.property_path: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(change.kind.value + ("_REPLACE" if change.replaces else "")),
                inputDiff=True,
            )
            for change in found
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found or replaces else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({str(change.path[0]) for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and diff.delete_first(old, new),
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def _is_ready(self, inputs: Manifest) -> bool:
        try:
            if live := self._connection.objects.read(inputs):
                self._connection.objects.check_ready(inputs, live)
        except NotReadyError:
            return False
        except (ApiError, UnreachableError, RefusedError):
            return True  # as in the official plugin: who cannot look does not replace
        return True

    @answers
    def Create(self, request: Any) -> provider_pb2.CreateResponse:
        given = decode(request.properties)
        manifest, progress = plain(given), self._progress(request.urn)
        unchanged = provider_pb2.CreateResponse(properties=request.properties)
        if request.preview and not self._connection.can_preview(manifest):
            return unchanged
        if naming.patch_manager(request.urn, manifest):
            live = self._patched(request, given)
            return provider_pb2.CreateResponse(id=naming.identifier(live), properties=_state(live, given))
        try:
            live = self._connection.objects.create(manifest, dry_run=request.preview, progress=progress)
        except AlreadyExistsError as error:
            # As in the official plugin: a preview cannot tell a replacement from a clash.
            if request.preview:
                return unchanged
            raise RefusedError(redacted(f"{request.urn}: {error}", given)) from error
        except ApiError as error:
            missing_namespace = error.code == 404 and error.details.get("kind") == "namespaces"
            if request.preview and (error.code == 403 or missing_namespace):
                return unchanged
            raise RefusedError(redacted(f"the API server refused to create {request.urn}: {error}", given)) from error
        except (NoSuchKindError, UnreachableError) as error:
            raise RefusedError(f"{request.urn} was not created: {error}") from error
        if request.preview:
            live.pop("status", None)  # a program that reads a status must see that it is not there yet
            return provider_pb2.CreateResponse(properties=_state(live, given))
        live = self._awaited(given, manifest, live, request.timeout, progress)
        return provider_pb2.CreateResponse(id=naming.identifier(live), properties=_state(live, given))

    @answers
    def Update(self, request: Any) -> provider_pb2.UpdateResponse:
        given = decode(request.news)
        manifest = plain(given)
        if request.preview and not self._connection.can_preview(manifest):
            return provider_pb2.UpdateResponse(properties=request.news)
        if naming.patch_manager(request.urn, manifest):
            return provider_pb2.UpdateResponse(properties=_state(self._patched(request, given), given))
        try:
            live = self._connection.objects.update(manifest, dry_run=request.preview)
        except ApiError as error:
            if request.preview and error.code == 403:
                return provider_pb2.UpdateResponse(properties=request.news)
            hint = "; run `pulumi refresh`, then it is made again" if error.code == 404 else ""
            raise RefusedError(
                redacted(f"the API server refused to update {request.urn}: {error}{hint}", given)
            ) from error
        except (NoSuchKindError, UnreachableError) as error:
            raise RefusedError(f"{request.urn} was not updated: {error}") from error
        if not request.preview:
            live = self._awaited(given, manifest, live, request.timeout, self._progress(request.urn))
        return provider_pb2.UpdateResponse(properties=_state(live, given))

    @answers
    def Read(self, request: Any) -> provider_pb2.ReadResponse:
        given, state = decode(request.inputs), plain(decode(request.properties))
        inputs = plain(given)
        identity = naming.identity(inputs if inputs.get("kind") else state, request.urn, request.id)
        try:
            if "namespace" not in identity["metadata"] and self._connection.namespaced(identity):
                identity["metadata"]["namespace"] = self._connection.namespace
            live = self._connection.objects.read(identity)
        except (ApiError, UnreachableError) as error:
            raise RefusedError(f"cannot read {request.id}: {error}") from error
        if live is None:
            return provider_pb2.ReadResponse()
        imported = not inputs.get("kind")
        seen = objects.stated(live) if imported else objects.observed_inputs(live, inputs)
        marked = mark_secrets(seen, given)
        if not imported:
            try:
                self._connection.objects.check_ready(inputs, live)
            except NotReadyError as error:
                outputs = mark_secrets(objects.outputs(live), given)
                raise InitFailedError(
                    request.id, redacted(str(error), given), error.reasons, outputs, marked
                ) from error
        return provider_pb2.ReadResponse(id=request.id, properties=_state(live, given), inputs=encode(marked))

    @answers
    def Delete(self, request: Any) -> empty_pb2.Empty:
        state = plain(decode(request.properties))
        inputs = plain(decode(request.old_inputs)) or state
        identity = naming.identity(state, request.urn, request.id)
        try:
            if manager := naming.patch_manager(request.urn, inputs):
                self._connection.objects.give_up(identity, manager)
                return empty_pb2.Empty()
            self._connection.objects.delete(identity, inputs, request.timeout, self._progress(request.urn))
        except (ApiError, UnreachableError, NotReadyError) as error:
            raise RefusedError(f"{request.urn} was not deleted: {error}") from error
        self._engine.status(request.urn, "")
        return empty_pb2.Empty()

    @answers
    def Cancel(self, request: Any) -> empty_pb2.Empty:
        self._cancelled.set()
        return empty_pb2.Empty()

    @answers
    def Invoke(self, request: Any) -> provider_pb2.InvokeResponse:
        raise NotOfferedError(
            f"{request.tok}: the stand-in plugin has no functions; use the official plugin for charts and YAML"
        )

    def _patched(self, request: Any, given: Manifest) -> Manifest:
        manifest = plain(given)
        manager = naming.patch_manager(request.urn, manifest) or ""
        try:
            return self._connection.objects.patch(manifest, manager, dry_run=request.preview)
        except (ApiError, NoSuchKindError, UnreachableError) as error:
            raise RefusedError(redacted(f"{request.urn} was not patched: {error}", given)) from error

    def _progress(self, urn: str) -> Progress:
        return lambda words: self._engine.status(urn, words)

    def _awaited(
        self, given: Manifest, manifest: Manifest, live: Manifest, timeout: float, progress: Progress
    ) -> Manifest:
        """Return the ready object; one that is not ready stays in the state with the reasons."""
        try:
            ready = self._connection.objects.ready(manifest, live, timeout, progress)
        except (NotReadyError, ApiError) as error:
            last = error.live if isinstance(error, NotReadyError) else live
            reasons = error.reasons if isinstance(error, NotReadyError) else [str(error)]
            reasons = [redacted(reason, given) for reason in reasons]
            outputs = mark_secrets(objects.outputs(last), given)
            message = redacted(str(error), given)
            raise InitFailedError(naming.identifier(last), message, reasons, outputs, given) from error
        progress("")
        return ready


def _state(live: Manifest, given: Manifest) -> struct_pb2.Struct:
    return encode(mark_secrets(objects.outputs(live), given))
