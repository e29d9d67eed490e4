"""A stand-in provider as the engine sees it: Pulumi's gRPC ResourceProvider protocol over `provider.Provider`.

The protocol is documented at https://pulumi-developer-docs.readthedocs.io/latest/docs/_generated/proto/provider.html.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Iterable
from concurrent import futures
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2, struct_pb2

from sandbox import schema
from sandbox.clouds import DISTRIBUTIONS, registry, sandbox_dir
from sandbox.kinds import CloudError, Fault
from sandbox.protos import plugin_pb2, provider_pb2, provider_pb2_grpc
from sandbox.provider import LostAnswer, Provider
from sandbox.values import Decoded, decode, encode, spread_secrets
from spillway.errors import SpillwayError

_OPTIONS = [("grpc.max_receive_message_length", 400 << 20), ("grpc.max_send_message_length", 400 << 20)]
_CHANGES = provider_pb2.DiffResponse
_KIND = provider_pb2.PropertyDiff
_DIFF_KINDS = {
    ("add", False): _KIND.ADD,
    ("add", True): _KIND.ADD_REPLACE,
    ("delete", False): _KIND.DELETE,
    ("delete", True): _KIND.DELETE_REPLACE,
    ("update", False): _KIND.UPDATE,
    ("update", True): _KIND.UPDATE_REPLACE,
}


def make_provider(package: str, directory: Path) -> Provider:
    """A provider with its schema; raises RuntimeError when the SDK is missing."""
    kinds = registry(package)
    document = schema.load(package, DISTRIBUTIONS[package], kinds.kinds, kinds.invokes)
    return Provider(kinds, document, directory)


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Translates messages; decides nothing."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._running = 0
        self._lock = threading.Lock()

    # Process

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self._provider.document["version"])

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        document = schema.to_pulumi(self._provider.document, self._provider.registry.package)
        return provider_pb2.GetSchemaResponse(schema=json.dumps(document))

    def GetMapping(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: grpc.ServicerContext) -> Any:
        return provider_pb2.GetMappingsResponse()

    # Configuration

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        decoded = decode(request.news)
        values = {k: _nested(v) for k, v in decoded.values.items() if k not in ("version", "__internal")}
        spec = self._provider.document["provider"]
        faults = self._provider.checker.inputs(values, spec["inputs"], spec["required"])
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(faults))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        old, new = decode(request.old_inputs).values, decode(request.news).values
        differing = sorted(k for k in {*old, *new} if old.get(k) != new.get(k) and k != "version")
        replaces = [k for k in differing if k in ("region", "allowedAccountIds", "profile", "subscriptionId")]
        return provider_pb2.DiffResponse(
            changes=_CHANGES.DIFF_SOME if differing else _CHANGES.DIFF_NONE, diffs=differing, replaces=replaces
        )

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._provider.configure({k: _nested(v) for k, v in decode(request.args).values.items()})
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    # Resources

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        news = decode(request.news)
        token = _token(request.urn)
        try:
            inputs, faults = self._provider.check(
                token, news.values, self._named_before(token, request), request.urn, request.randomSeed
            )
        except CloudError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, error.message)
        # Nothing was filled in: what came goes back, and need not be written anew.
        same = inputs is news.values
        checked = request.news if same else encode(inputs, news.secrets)
        return provider_pb2.CheckResponse(inputs=checked, failures=_failures(faults))

    def _named_before(self, token: str, request: Any) -> dict[str, Any]:
        """The old inputs, which only an automatic name is taken from."""
        kind = self._provider.registry.kinds.get(token)
        return {} if kind is None or kind.autoname is None else decode(request.olds).values

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        olds = decode(request.olds).values
        old_inputs = decode(request.old_inputs).values if request.HasField("old_inputs") else olds
        try:
            result = self._provider.diff(_token(request.urn), old_inputs, olds, decode(request.news).values)
        except CloudError as error:
            _abort(context, grpc.StatusCode.INVALID_ARGUMENT, error.message)
        detailed = {
            path: provider_pb2.PropertyDiff(kind=_DIFF_KINDS[change, path in result.replaces], inputDiff=True)
            for path, change in result.changes.items()
        }
        return provider_pb2.DiffResponse(
            changes=_CHANGES.DIFF_SOME if detailed else _CHANGES.DIFF_NONE,
            diffs=sorted({_top(p) for p in detailed}),
            replaces=result.replaces,
            deleteBeforeReplace=result.delete_before_replace,
            detailedDiff=detailed,
            hasDetailedDiff=True,
        )

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = decode(request.properties)
        token = _token(request.urn)
        try:
            id, outputs = self._provider.create(
                token, inputs.values, frozenset(inputs.secrets), request.urn, request.preview
            )
        except (CloudError, LostAnswer) as error:
            _refuse(context, error)
        return provider_pb2.CreateResponse(
            id=id, properties=self._encode(token, outputs, inputs.secrets, inputs.values)
        )

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = decode(request.inputs)
        if not inputs.values:  # an import, or a `get`: only the state may tell the region
            inputs = Decoded({k: v for k, v in decode(request.properties).values.items() if k == "region"})
        token = _token(request.urn)
        try:
            resource = self._provider.read(token, request.id, inputs.values)
        except (CloudError, LostAnswer) as error:
            _refuse(context, error)
        if resource is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=resource.id,
            inputs=encode(resource.inputs, resource.secrets),
            properties=self._encode(token, resource.outputs, resource.secrets, resource.inputs),
        )

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        news = decode(request.news)
        token = _token(request.urn)
        try:
            outputs = self._provider.update(
                token,
                request.id,
                decode(request.olds).values,
                news.values,
                frozenset(news.secrets),
                request.urn,
                request.preview,
            )
        except (CloudError, LostAnswer) as error:
            _refuse(context, error)
        return provider_pb2.UpdateResponse(properties=self._encode(token, outputs, news.secrets, news.values))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = decode(request.properties).values
        if request.HasField("old_inputs"):
            inputs = {**decode(request.old_inputs).values, "region": inputs.get("region")}
        try:
            self._provider.delete(_token(request.urn), request.id, inputs, request.urn)
        except (CloudError, LostAnswer) as error:
            _refuse(context, error)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            result, faults = self._provider.invoke(request.tok, decode(request.args).values)
        except (CloudError, LostAnswer) as error:
            _refuse(context, error)
        return provider_pb2.InvokeResponse(**{"return": encode(result)}, failures=_failures(faults))

    def _encode(
        self, token: str, outputs: dict[str, Any], secrets: Iterable[str], inputs: dict[str, Any]
    ) -> struct_pb2.Struct:
        always = self._provider.document["resources"][token]["secret"]
        kind = self._provider.registry.kinds[token]
        return encode(outputs, {*spread_secrets(secrets, inputs, outputs), *always, *kind.secret_outputs})


class OneLine(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Whatever goes wrong reaches the engine as one line, and not as a traceback in the middle of its display."""

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return handler.unary_unary(request, context)
            except SpillwayError as error:  # the weather file, the clouds' file
                _abort(context, grpc.StatusCode.FAILED_PRECONDITION, "; ".join(error.lines))
            except Exception as error:
                if context.code() is not None:  # the handler's own refusal, on its way out
                    raise
                where = traceback.extract_tb(error.__traceback__)[-1]
                told = f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"
                _abort(context, grpc.StatusCode.INTERNAL, f"a fault of the sandbox itself: {told}")

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


def _token(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _top(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]


def _nested(value: Any) -> Any:
    """Provider settings that are not strings arrive as JSON text."""
    if isinstance(value, str) and (value[:1] in ("[", "{") or value in ("true", "false")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _failures(faults: Iterable[Fault]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=f.path, reason=_line(f"{f.path}: {f.reason}")) for f in faults]


def _line(text: str) -> str:
    """A message with a person's own line breaks in it, as one line."""
    return " ".join(text.split("\n")) if "\n" in text else text


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, _line(message))
    raise AssertionError("abort returns nothing")


def _refuse(context: grpc.ServicerContext, error: CloudError | LostAnswer) -> NoReturn:
    if isinstance(error, LostAnswer):
        _abort(context, grpc.StatusCode.UNAVAILABLE, str(error))
    _abort(context, grpc.StatusCode.UNKNOWN, str(error))


def _end_with_parent(parent: int) -> None:
    """A killed CLI leaves its plugins running, which would go on creating: watch the parent and go when it goes."""
    done = threading.Event()
    while not done.wait(0.2):
        if os.getppid() != parent:
            os._exit(0)


def serve(package: str) -> None:
    """Start the plugin, print its port for the engine, and serve until the engine or the parent is gone."""
    parent = os.getppid()
    try:
        provider = make_provider(package, sandbox_dir())
    except RuntimeError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        sys.exit(1)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), interceptors=(OneLine(),), options=_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    server.wait_for_termination()
