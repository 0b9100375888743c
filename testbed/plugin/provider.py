"""Pulumi's resource provider protocol for Kubernetes, as far as the testbed needs it."""
# ruff: noqa: ANN401, ARG002, D102, N802 - the protocol names the methods, and protobuf messages share no type

import importlib.metadata
import json
import threading
from typing import Any, Final

from google.protobuf import empty_pb2, struct_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from testbed.plugin import annotations, diff, kubeconfig, objects, settings
from testbed.plugin.client import ApiError, Client, UnreachableError
from testbed.plugin.discovery import CLUSTER_SCOPED, Discovery, NoSuchKindError
from testbed.plugin.objects import AlreadyExistsError, Objects, Progress
from testbed.plugin.rpc import Engine, InitFailedError, NotOfferedError, RefusedError, answers
from testbed.plugin.settings import Settings
from testbed.plugin.values import (
    UNKNOWN,
    Manifest,
    decode,
    encode,
    has_unknown,
    mark_secrets,
    plain,
    secret_texts,
    underscored,
)
from testbed.plugin.waiting import NotReadyError, Waiting

VERSION: Final = importlib.metadata.version("pulumi_kubernetes")
_NOT_SERVED: Final = ("kubernetes:helm.sh/", "kubernetes:kustomize", "kubernetes:yaml")


class KubernetesProvider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider resource of a program: one API server, reached or not."""

    def __init__(self, engine_address: str = "") -> None:
        self._engine = Engine()
        self._engine.connect(engine_address)
        self._cancelled = threading.Event()
        self._settings: Settings = settings.parse({})
        self._namespace = "default"
        self._objects: Objects | None = None
        self._unreachable = "the provider has not been configured"

    @answers
    def Handshake(self, request: Any) -> provider_pb2.ProviderHandshakeResponse:
        self._engine.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, supports_autonaming_configuration=True)

    @answers
    def Attach(self, request: Any) -> empty_pb2.Empty:
        self._engine.connect(request.address)
        return empty_pb2.Empty()

    @answers
    def GetPluginInfo(self, request: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=VERSION)

    @answers
    def GetSchema(self, request: Any) -> provider_pb2.GetSchemaResponse:
        schema = {"name": "kubernetes", "version": VERSION, "description": "Stand-in of Larder's testbed: no types."}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

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
        replaces = settings.replaces_provider(old, new, (_cluster(old), _cluster(new)))
        changed = provider_pb2.DiffResponse.DIFF_SOME if keys else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changed, diffs=keys, replaces=replaces)

    @answers
    def Configure(self, request: Any) -> provider_pb2.ConfigureResponse:
        config = plain(decode(request.args)) or {
            key.removeprefix("kubernetes:config:"): value for key, value in request.variables.items()
        }
        if refused := settings.refusals(config):
            raise RefusedError("; ".join(f"kubernetes:{name}: {why}" for name, why in refused))
        self._settings = settings.parse(config)
        self._engine.debug(f"kubernetes plugin {VERSION}: the stand-in of Larder's testbed, not the official plugin")
        if has_unknown({key: config.get(key) for key in ("kubeconfig", "context")}):
            self._unreached("the kubeconfig is known only after `up`")
        else:
            self._connect()
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, supports_autonaming_configuration=True
        )

    def _connect(self) -> None:
        chosen = self._settings
        try:
            cluster = kubeconfig.read(chosen.kubeconfig, chosen.context, chosen.namespace)
            self._namespace = cluster.namespace
            client = Client(cluster)
            client.get("/version")
        except (kubeconfig.KubeconfigError, UnreachableError, ApiError, OSError) as error:
            self._unreached(str(error))
            return
        discovery = Discovery(client)
        waiting = Waiting(client, discovery, self._cancelled)
        self._objects = Objects(client, discovery, waiting, patch_force=chosen.patch_force)

    def _unreached(self, why: str) -> None:
        self._objects, self._unreachable = None, why
        self._namespace = self._settings.namespace or self._namespace
        self._engine.warn("", f"configured Kubernetes cluster is unreachable: {why}")

    @answers
    def Check(self, request: Any) -> provider_pb2.CheckResponse:
        old, given = plain(decode(request.olds)), decode(request.news)
        manifest, kind_token = plain(given), _type(request.urn)
        patch = kind_token.endswith(f":{manifest.get('kind')}Patch")
        if kind_token.startswith(_NOT_SERVED) or patch or "items" in manifest:
            raise NotOfferedError(
                f"{kind_token}: the stand-in plugin serves single objects only; declare them one by one"
            )
        failures: list[provider_pb2.CheckFailure] = []
        if isinstance(manifest.get("metadata", {}), dict):
            manifest = objects.stated(manifest)
            failures = self._name(request, manifest, old)
        if failures:
            return provider_pb2.CheckResponse(inputs=request.news, failures=failures)
        return provider_pb2.CheckResponse(inputs=encode(mark_secrets(underscored(manifest), given)))

    def _name(self, request: Any, manifest: Manifest, old: Manifest) -> list[provider_pb2.CheckFailure]:
        """Give the manifest its name and namespace; what is wrong with its metadata."""
        metadata = manifest["metadata"]
        if "generateName" in metadata and "name" not in metadata:
            why = "`generateName` does not go with server-side apply; leave it out and the object is named for you"
            return [provider_pb2.CheckFailure(property="metadata.generateName", reason=why)]
        try:
            annotations.wait_for(manifest)
        except ValueError as error:
            return [provider_pb2.CheckFailure(property="metadata.annotations", reason=str(error))]
        if metadata.get("name") in (None, ""):
            before = old.get("metadata") or {}
            if (before.get("annotations") or {}).get(annotations.AUTONAMED) == "true":
                name = before["name"]
            elif request.autonaming.mode == provider_pb2.CheckRequest.AutonamingOptions.DISABLE:
                return [provider_pb2.CheckFailure(property="metadata.name", reason="autonaming is off: state a name")]
            else:
                name = annotations.autoname(request.urn, request.randomSeed, request.autonaming.proposed_name)
            metadata["name"] = name
            marks = metadata.get("annotations")
            if marks is not UNKNOWN:
                metadata["annotations"] = (marks or {}) | {annotations.AUTONAMED: "true"}
        if not metadata.get("namespace") and self._namespaced(manifest):
            metadata["namespace"] = self._namespace
        return []

    def _namespaced(self, manifest: Manifest) -> bool:
        if self._objects is None:
            return manifest.get("kind") not in CLUSTER_SCOPED
        try:
            return self._objects.namespaced(manifest)
        except (ApiError, UnreachableError) as error:
            raise RefusedError(f"cannot ask the API server about {manifest['kind']}: {error}") from error

    @answers
    def Diff(self, request: Any) -> provider_pb2.DiffResponse:
        old, new = plain(decode(request.old_inputs)), plain(decode(request.news))
        ignored = list(request.ignoreChanges)
        found = [
            change
            for change in diff.changes(old, new, self._settings.mutable)
            if not diff.ignored(change.property_path, ignored)
        ]
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
        name = objects_name(request.id)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if found or replaces else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=sorted({str(change.path[0]) for change in found}),
            replaces=replaces,
            deleteBeforeReplace=bool(replaces) and diff.delete_first(name, old, new),
            detailedDiff=detail,
            hasDetailedDiff=True,
        )

    def _is_ready(self, inputs: Manifest) -> bool:
        try:
            live = self._objects.read(inputs) if self._objects else None
            if self._objects and live:
                self._objects.check_ready(inputs, live)
        except NotReadyError:
            return False
        except (ApiError, UnreachableError, KeyError):
            return True
        return True

    @answers
    def Create(self, request: Any) -> provider_pb2.CreateResponse:
        given = decode(request.properties)
        manifest, progress = plain(given), self._progress(request.urn)
        unchanged = provider_pb2.CreateResponse(properties=request.properties)
        if request.preview and not self._can_preview(manifest):
            return unchanged
        try:
            live = self._reached.create(manifest, dry_run=request.preview, progress=progress)
        except AlreadyExistsError as error:
            # As in the official plugin: a preview cannot tell a replacement from a clash.
            if request.preview:
                return unchanged
            raise RefusedError(_clean(f"{request.urn}: {error}", given)) from error
        except ApiError as error:
            missing_namespace = error.code == 404 and error.details.get("kind") == "namespaces"
            if request.preview and (error.code == 403 or missing_namespace):
                return unchanged
            raise RefusedError(_clean(f"the API server refused to create {request.urn}: {error}", given)) from error
        except (NoSuchKindError, UnreachableError) as error:
            raise RefusedError(f"{request.urn} was not created: {error}") from error
        if request.preview:
            live.pop("status", None)  # a program that reads a status must see that it is not there yet
            return provider_pb2.CreateResponse(properties=_state(live, given))
        live = self._awaited(given, manifest, live, request.timeout, progress)
        return provider_pb2.CreateResponse(id=objects.identifier(live), properties=_state(live, given))

    @answers
    def Update(self, request: Any) -> provider_pb2.UpdateResponse:
        given = decode(request.news)
        manifest = plain(given)
        if request.preview and not self._can_preview(manifest):
            return provider_pb2.UpdateResponse(properties=request.news)
        try:
            live = self._reached.update(manifest, dry_run=request.preview)
        except ApiError as error:
            if request.preview and error.code == 403:
                return provider_pb2.UpdateResponse(properties=request.news)
            hint = "; run `pulumi refresh`, then it is made again" if error.code == 404 else ""
            raise RefusedError(
                _clean(f"the API server refused to update {request.urn}: {error}{hint}", given)
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
        identity = _identity(inputs if inputs.get("kind") else state, request.urn, request.id)
        try:
            if "namespace" not in identity["metadata"] and self._namespaced(identity):
                identity["metadata"]["namespace"] = self._namespace
            live = self._reached.read(identity)
        except (ApiError, UnreachableError) as error:
            raise RefusedError(f"cannot read {request.id}: {error}") from error
        if live is None:
            return provider_pb2.ReadResponse()
        imported = not inputs.get("kind")
        seen = objects.stated(live) if imported else objects.observed_inputs(live, inputs)
        marked = mark_secrets(underscored(seen), given)
        if not imported:
            try:
                self._reached.check_ready(inputs, live)
            except NotReadyError as error:
                outputs = mark_secrets(underscored(objects.outputs(live)), given)
                raise InitFailedError(request.id, _clean(str(error), given), error.reasons, outputs, marked) from error
        return provider_pb2.ReadResponse(id=request.id, properties=_state(live, given), inputs=encode(marked))

    @answers
    def Delete(self, request: Any) -> empty_pb2.Empty:
        if self._objects is None and self._settings.delete_unreachable:
            self._engine.warn(
                request.urn, "the cluster is unreachable and deleteUnreachable is set: forgotten, not deleted"
            )
            return empty_pb2.Empty()
        state = plain(decode(request.properties))
        inputs = plain(decode(request.old_inputs)) or state
        identity = _identity(state, request.urn, request.id)
        try:
            self._reached.delete(identity, inputs, request.timeout, self._progress(request.urn))
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

    @answers
    def Construct(self, request: Any) -> provider_pb2.ConstructResponse:
        raise NotOfferedError(f"{request.type}: the stand-in plugin has no components; declare the objects one by one")

    @property
    def _reached(self) -> Objects:
        if self._objects is None:
            raise RefusedError(f"configured Kubernetes cluster is unreachable: {self._unreachable}")
        return self._objects

    def _can_preview(self, manifest: Manifest) -> bool:
        if self._objects is None or has_unknown(manifest):
            return False
        try:
            return self._objects.known(manifest)
        except (ApiError, UnreachableError):
            return False

    def _progress(self, urn: str) -> Progress:
        return lambda words: self._engine.status(urn, words)

    def _awaited(
        self, given: Manifest, manifest: Manifest, live: Manifest, timeout: float, progress: Progress
    ) -> Manifest:
        """The ready object; what is not ready is kept in the state with the reasons."""
        try:
            ready = self._reached.ready(manifest, live, timeout, progress)
        except (NotReadyError, ApiError) as error:
            last = error.live if isinstance(error, NotReadyError) else live
            reasons = error.reasons if isinstance(error, NotReadyError) else [str(error)]
            reasons = [_clean(reason, given) for reason in reasons]
            outputs = mark_secrets(underscored(objects.outputs(last)), given)
            message = _clean(str(error), given)
            raise InitFailedError(objects.identifier(last), message, reasons, outputs, given) from error
        progress("")
        return ready


def objects_name(object_id: str) -> str:
    """The object's name in a Pulumi id."""
    return object_id.rpartition("/")[2]


def _type(urn: str) -> str:
    """The resource type in a urn, without the types of its parents."""
    return urn.split("::")[2].rpartition("$")[2]


def _identity(known: Manifest, urn: str, object_id: str) -> Manifest:
    """Enough of a manifest to find the object: from the state, else from the type in the urn (an import)."""
    namespace, _, name = object_id.rpartition("/")
    if known.get("kind"):
        version, kind = known["apiVersion"], known["kind"]
    else:
        _, module, kind = _type(urn).split(":")
        version = module.removeprefix("core/")
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _state(live: Manifest, given: Manifest) -> struct_pb2.Struct:
    return encode(mark_secrets(underscored(objects.outputs(live)), given))


def _cluster(config: Manifest) -> str | None:
    """The identity of the cluster these inputs lead to, None where a kubeconfig is unknown or unreadable."""
    if has_unknown(config):
        return None
    chosen = settings.parse(config)
    try:
        return kubeconfig.read(chosen.kubeconfig, chosen.context, chosen.namespace).identity
    except (kubeconfig.KubeconfigError, OSError):
        return None


def _clean(text: str, given: Manifest) -> str:
    """The text without any secret that was given, for the API server quotes what it refuses."""
    for secret in sorted(secret_texts(given), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text
