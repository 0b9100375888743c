"""Pulumi's resource provider protocol for Kubernetes, as far as the program needs it."""
# ruff: noqa: ANN401, D102, N802 - the protocol names the methods, and protobuf messages share no type

import importlib.metadata
import threading
from typing import Any

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from testbed.plugin import annotations, diff, kubeconfig, naming, objects, refusals, rpc
from testbed.plugin.client import ApiError, Client
from testbed.plugin.discovery import NoSuchKindError
from testbed.plugin.objects import Objects
from testbed.plugin.refusals import NotSupportedError, RefusedError
from testbed.plugin.values import Manifest, decode, encode, has_unknown, mark_secrets, plain
from testbed.plugin.waiting import NotReadyError, Progress


class KubernetesProvider:
    """One provider resource of a program: one API server. The methods are those of the protocol."""

    def __init__(self, engine_address: str) -> None:
        self._engine = rpc.Engine(engine_address)
        self._cancelled = threading.Event()
        self._found: Objects | RefusedError
        """The objects of the cluster, or the reason why its kubeconfig cannot be used."""

    def GetPluginInfo(self, _: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi_kubernetes"))

    def DiffConfig(self, request: Any) -> provider_pb2.DiffResponse:
        old, new = plain(decode(request.olds)), plain(decode(request.news))
        keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
        # Everything on another cluster is made anew. The program names its cluster; it did not always.
        replaces = [key for key in keys if key == "clusterIdentifier" and old.get(key) and new.get(key)]
        changed = provider_pb2.DiffResponse.DIFF_SOME if keys else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changed, diffs=keys, replaces=replaces)

    def Configure(self, request: Any) -> provider_pb2.ConfigureResponse:
        options = plain(decode(request.args))
        refusals.check_options(options)
        try:
            cluster = kubeconfig.read(options.get("kubeconfig") or "~/.kube/config", options.get("context", ""))
            self._found = Objects(Client(cluster), self._cancelled)
        except NotSupportedError:
            raise
        except RefusedError as error:  # as in the official plugin, a preview goes on without a cluster
            self._found = error
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @property
    def _objects(self) -> Objects:
        if isinstance(self._found, RefusedError):
            raise self._found
        return self._found

    def _cannot_try(self, manifest: Manifest) -> bool:
        """Tell if no dry run is possible: a value is unknown yet, or there is no cluster."""
        return has_unknown(manifest) or isinstance(self._found, RefusedError)

    def Check(self, request: Any) -> provider_pb2.CheckResponse:
        given = decode(request.news)
        manifest = plain(given)
        refusals.check_object(naming.resource_type(request.urn), manifest)
        return provider_pb2.CheckResponse(inputs=encode(mark_secrets(manifest, given)))

    def Diff(self, request: Any) -> provider_pb2.DiffResponse:
        old, new = plain(decode(request.old_inputs)), plain(decode(request.news))
        found = diff.changes(old, new)
        replaces = [change.path for change in found if change.replaces]
        if annotations.asks(new, "replaceUnready") and new["kind"] == "Job" and not self._is_ready(new):
            replaces.append('metadata.annotations["pulumi.com/replaceUnready"]')
        detail = {
            change.path: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(change.kind + ("_REPLACE" if change.replaces else "")),
                inputDiff=True,
            )
            for change in found
        }
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found or replaces else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and diff.delete_first(old, new),
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def _is_ready(self, inputs: Manifest) -> bool:
        try:
            if live := self._objects.read(inputs):
                self._objects.check_ready(inputs, live)
        except NotReadyError:
            return False
        except (ApiError, RefusedError):
            return True  # as in the official plugin: who cannot look does not replace
        return True

    def Create(self, request: Any) -> provider_pb2.CreateResponse:
        given = decode(request.properties)
        manifest = plain(given)
        unchanged = provider_pb2.CreateResponse(properties=request.properties)
        if request.preview and self._cannot_try(manifest):
            return unchanged
        if manager := naming.patch_manager(request.urn):
            live = self._objects.patch(manifest, manager, dry_run=request.preview)
            return provider_pb2.CreateResponse(id=naming.identifier(live), properties=_state(live, given))
        try:
            live = self._objects.create(manifest, dry_run=request.preview)
        except ApiError as error:
            # As in the official plugin: a preview cannot tell a replacement from a clash.
            missing_namespace = error.code == 404 and error.details.get("kind") == "namespaces"
            if request.preview and (error.reason == "AlreadyExists" or missing_namespace or error.code == 403):
                return unchanged
            if error.reason == "AlreadyExists":
                advice = "It is not in this stack: delete it, or give the resource an alias if the program renamed it."
                raise RefusedError(f"{error}. {advice}") from error
            raise
        except NoSuchKindError:
            if request.preview:  # its definition may come with the same `up`
                return unchanged
            raise
        if request.preview:
            live.pop("status", None)  # a program that reads a status must see that it is not there yet
            return provider_pb2.CreateResponse(properties=_state(live, given))
        live = self._awaited(given, live, request)
        return provider_pb2.CreateResponse(id=naming.identifier(live), properties=_state(live, given))

    def Update(self, request: Any) -> provider_pb2.UpdateResponse:
        given = decode(request.news)
        manifest = plain(given)
        if request.preview and self._cannot_try(manifest):
            return provider_pb2.UpdateResponse(properties=request.news)
        if manager := naming.patch_manager(request.urn):
            live = self._objects.patch(manifest, manager, dry_run=request.preview)
        else:
            try:
                live = self._objects.update(manifest, dry_run=request.preview)
            except ApiError as error:
                # As in the official plugin: a preview goes on where the account may not make a dry run.
                if request.preview and error.code == 403:
                    return provider_pb2.UpdateResponse(properties=request.news)
                raise
            if not request.preview:
                live = self._awaited(given, live, request)
        return provider_pb2.UpdateResponse(properties=_state(live, given))

    def Read(self, request: Any) -> provider_pb2.ReadResponse:
        given = decode(request.inputs)
        live = self._objects.read(naming.identity(request.urn, request.id))
        if live is None:
            return provider_pb2.ReadResponse()
        state = _state(live, given)
        if "kind" not in given:  # the program reads an object that others made
            return provider_pb2.ReadResponse(id=request.id, properties=state)
        inputs = plain(given)
        marked = mark_secrets(objects.observed_inputs(live, inputs), given)
        try:
            self._objects.check_ready(inputs, live)
        except NotReadyError as error:
            raise rpc.InitFailedError(request.id, error.reasons, decode(state), marked) from error
        return provider_pb2.ReadResponse(id=request.id, properties=state, inputs=encode(marked))

    def Delete(self, request: Any) -> empty_pb2.Empty:
        identity = naming.identity(request.urn, request.id)
        if manager := naming.patch_manager(request.urn):
            # Fields without another manager disappear; an object that is gone is made again, empty: the official
            # plugin (`ssa.Relinquish`) asks for no object either.
            self._objects.patch(identity, manager, dry_run=False)
        else:
            self._objects.delete(identity, request.timeout, self._progress(request.urn))
            self._engine.status(request.urn, "")
        return empty_pb2.Empty()

    def Cancel(self, _: Any) -> empty_pb2.Empty:
        self._cancelled.set()
        return empty_pb2.Empty()

    def _progress(self, urn: str) -> Progress:
        return lambda words: self._engine.status(urn, words)

    def _awaited(self, given: Manifest, live: Manifest, request: Any) -> Manifest:
        """Return the ready object; one that is not ready stays in the state with the reasons."""
        progress = self._progress(request.urn)
        try:
            ready = self._objects.ready(plain(given), live, request.timeout, progress)
        except NotReadyError as error:
            outputs = mark_secrets(objects.outputs(error.live), given)
            raise rpc.InitFailedError(naming.identifier(live), error.reasons, outputs, given) from error
        except ApiError as error:
            outputs = mark_secrets(objects.outputs(live), given)
            raise rpc.InitFailedError(naming.identifier(live), [str(error)], outputs, given) from error
        progress("")
        return ready


def _state(live: Manifest, given: Manifest) -> struct_pb2.Struct:
    return encode(mark_secrets(objects.outputs(live), given))
