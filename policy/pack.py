"""The policies as the engine asks for them: before it makes a resource, and when it has seen the whole stack.

`pulumi up` plans first, and a mandatory violation ends it there. With --skip-preview what each resource says for itself
is still judged before that resource is made; what the whole stack says, only after
(https://www.pulumi.com/docs/insights/policy/policy-packs/authoring/).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import grpc
import pulumi_policy
import pulumi_policy.policy
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import analyzer_pb2

from cost.plan.preview import SECRET, UNKNOWN, Resource
from infra.faults import ConfigError
from policy import config as settings
from policy.findings import Finding, Policy, Stack
from policy.judge import OPEN, open_message, run
from policy.rules import POLICIES

NAME: Final = "spillway"
UNKNOWNS: Final = frozenset({
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", "3eeb2bf0-c639-47a8-9e75-3b44932eb421", UNKNOWN,
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2", "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a", "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
})  # fmt: skip
"""What the engine writes for a boolean, number, text, list, asset, archive or map that it does not know yet
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go)."""
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"
"""How the engine wraps a secret (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go)."""
_LEVELS: Final = {
    "advisory": pulumi_policy.EnforcementLevel.ADVISORY,
    "mandatory": pulumi_policy.EnforcementLevel.MANDATORY,
    "disabled": pulumi_policy.EnforcementLevel.DISABLED,
}
_WIRE: Final = {
    "advisory": analyzer_pb2.ADVISORY,
    "mandatory": analyzer_pb2.MANDATORY,
    "disabled": analyzer_pb2.DISABLED,
}


class Engine:
    """What the engine has told of the stack, and what the policies were told for it."""

    def __init__(self) -> None:
        self.stack = ""
        self.values: dict[str, Any] = {}
        self.own: dict[str, Any] = {}
        self.told: settings.Config = settings.parse({}, "policy settings")
        self.inputs: dict[str, dict[str, Any]] = {}
        """URN -> what the program says of a resource. The whole stack comes with outputs alone, where one value that is
        not known yet may hide the map that it is in."""
        self.outputs: dict[str, dict[str, Any]] = {}

    def begin(self, stack: str, values: Mapping[str, str]) -> None:
        """A stack and its config. Raises ConfigError for the settings that are kept for it."""
        self.stack, self.own = stack, settings.load(stack)
        self.values = {key: _value(text) for key, text in values.items()}
        self.told = settings.parse(self.own, f"policy/stacks/{stack}.json")

    def choose(self, given: Mapping[str, Any]) -> None:
        """Settings of --policy-pack-config, over the stack's own."""
        self.told = settings.parse(settings.merged(self.own, given), "policy settings")


ENGINE: Final = Engine()


class Servicer(pulumi_policy.policy._PolicyAnalyzerServicer):
    """pulumi-policy's own, which drops the stack's name and config, and has one level for a policy on all stacks
    (https://github.com/pulumi/pulumi-policy/blob/main/sdk/python/lib/pulumi_policy/policy.py, ConfigureStack)."""

    def ConfigureStack(self, request: analyzer_pb2.AnalyzerStackConfigureRequest, context: Any) -> Any:
        try:
            ENGINE.begin(request.stack, request.config)
        except ConfigError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "\n".join(error.lines))
        return super().ConfigureStack(request, context)

    def Analyze(self, request: analyzer_pb2.AnalyzeRequest, context: Any) -> Any:
        # Read here, as pulumi-policy hands secrets over in clear text: no rule may have one to print.
        ENGINE.inputs[request.urn] = plain(MessageToDict(request.properties))
        return super().Analyze(request, context)  # type: ignore[no-untyped-call]

    def AnalyzeStack(self, request: analyzer_pb2.AnalyzeStackRequest, context: Any) -> Any:
        ENGINE.outputs = {one.urn: plain(MessageToDict(one.properties)) for one in request.resources}
        return super().AnalyzeStack(request, context)  # type: ignore[no-untyped-call]

    def Configure(self, request: analyzer_pb2.ConfigureAnalyzerRequest, context: Any) -> Any:
        usual = {one.name: _WIRE[one.level] for one in POLICIES}
        given: dict[str, Any] = {}
        for name, one in request.policyConfig.items():
            if name not in usual:
                continue
            row = _numbers(dict(one.properties))
            # A level that is the pack's own was chosen by nobody: the stack's file may say another.
            if one.enforcementLevel != usual[name]:
                level = analyzer_pb2.EnforcementLevel.Name(one.enforcementLevel).lower()
                row[settings.LEVEL_KEY] = level
            if row:
                given[name] = row
        try:
            ENGINE.choose(given)
        except ConfigError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "\n".join(error.lines))
        for name, told in ENGINE.told.items():
            request.policyConfig[name].enforcementLevel = _WIRE[told.level]
        return super().Configure(request, context)  # type: ignore[no-untyped-call]


def serve() -> None:
    """Answer the engine until it ends; does not return."""
    pulumi_policy.policy._PolicyAnalyzerServicer = Servicer  # type: ignore[misc]
    pulumi_policy.PolicyPack(
        NAME,
        policies=[*(one for policy in POLICIES for one in _as_pulumi(policy)), _open()],
        enforcement_level=pulumi_policy.EnforcementLevel.MANDATORY,
        description="What every stack of Spillway is held to before it is deployed.",
        display_name="Spillway",
    )


def _as_pulumi(policy: Policy[Any]) -> Iterator[pulumi_policy.Policy]:
    """One for each resource, one for the whole stack, of the same name and settings: the engine has them apart."""
    schema = pulumi_policy.PolicyConfigSchema(settings.properties(policy))
    common: dict[str, Any] = {
        "name": policy.name,
        "description": policy.description,
        "display_name": policy.title,
        "enforcement_level": _LEVELS[policy.level],
        "config_schema": schema,
    }
    if (each := policy.each) is not None:

        def validate(args: pulumi_policy.ResourceValidationArgs, report: pulumi_policy.ReportViolation) -> None:
            resource = _resource(args.resource_type, args.urn, args.opts, {})
            for finding in dict.fromkeys(each(resource, ENGINE.told[policy.name].settings)):
                if finding.judged:  # the others come with the whole stack, as advice
                    report(finding.message, None)

        yield pulumi_policy.ResourceValidationPolicy(validate=validate, **common)
    if (whole := policy.whole) is not None:

        def validate_stack(args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
            for finding in dict.fromkeys(whole(_stack(args), ENGINE.told[policy.name].settings)):
                if finding.judged:
                    report(finding.message, finding.urn or None)

        yield pulumi_policy.StackValidationPolicy(validate=validate_stack, **common)


def _open() -> pulumi_policy.Policy:
    def validate(args: pulumi_policy.StackValidationArgs, report: pulumi_policy.ReportViolation) -> None:
        for one in run(_stack(args), ENGINE.told):
            if not one.finding.judged:
                _tell(one.policy, one.finding, report)

    return pulumi_policy.StackValidationPolicy(
        name=OPEN,
        description="What cannot be judged yet: it is known only after the deployment, or nobody has told it.",
        display_name="Not judged",
        validate=validate,
        enforcement_level=pulumi_policy.EnforcementLevel.ADVISORY,
    )


def _tell(policy: str, finding: Finding, report: pulumi_policy.ReportViolation) -> None:
    report(open_message(policy, finding), finding.urn or None)


def _stack(args: pulumi_policy.StackValidationArgs) -> Stack:
    found = [
        _resource(
            one.resource_type, one.urn, one.opts,
            {key: tuple(other.urn for other in others) for key, others in one.property_dependencies.items()},
        )
        for one in args.resources
        if not one.resource_type.startswith(("pulumi:", "spillway:"))
    ]  # fmt: skip
    # In the order of their names: the engine's own differs from run to run.
    return Stack(ENGINE.stack, tuple(sorted(found, key=lambda one: one.urn)), ENGINE.values)


def _resource(type_: str, urn: str, options: Any, refers: Mapping[str, tuple[str, ...]]) -> Resource:
    outputs = ENGINE.outputs.get(urn, {})
    inputs = ENGINE.inputs.get(urn, outputs)
    return Resource(urn, type_, inputs, outputs, refers, "", bool(options and options.protect))


def plain(value: Any) -> Any:
    """Values as a plan has them: one text for whatever is not known yet, another for a secret."""
    if isinstance(value, str):
        return UNKNOWN if value in UNKNOWNS else value
    if isinstance(value, Mapping):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return SECRET
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _numbers(value: Any) -> Any:
    """A protobuf Struct's parts as plain maps and lists."""
    if hasattr(value, "fields") or isinstance(value, Mapping):
        return {str(key): _numbers(item) for key, item in value.items()}
    if hasattr(value, "values") or isinstance(value, list):
        return [_numbers(item) for item in value]
    return value
