"""EventBridge rules, targets and buses."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms
from sandbox.aws.formats import arn, arns, is_arn
from sandbox.aws.iam import role_ref
from sandbox.aws.messaging import QUEUE, TOPIC
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, tag_faults, unique_suffix
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, shown
from sandbox.values import UNKNOWN

RULE: Final = "aws:cloudwatch/eventRule:EventRule"
TARGET: Final = "aws:cloudwatch/eventTarget:EventTarget"
BUS: Final = "aws:cloudwatch/eventBus:EventBus"
_DEFAULT_BUS: Final = "default"

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
_RULES_PER_BUS: Final = ("L-244521F2", 300)
_TARGETS_PER_RULE: Final = 5

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
_FILTERS: Final = ("prefix", "suffix", "anything-but", "numeric", "cidr", "exists", "equals-ignore-case", "wildcard")
_UNITS: Final = ("minute", "minutes", "hour", "hours", "day", "days")


def pattern_faults(args: Args, key: str = "eventPattern") -> Iterator[Fault]:
    """An event pattern: a JSON object whose leaves are lists of values and filters
    (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html)."""
    for path, text in args.at(key):
        if len(text) > 4096:
            yield Fault(path, f"expected at most 4,096 characters, got {len(text):,}")
        try:
            pattern = json.loads(text)
        except (ValueError, TypeError) as error:
            yield Fault(path, f"InvalidEventPatternException: Event pattern is not valid. Reason: {error}")
            continue
        if not isinstance(pattern, dict) or not pattern:
            yield Fault(path, "InvalidEventPatternException: expected a JSON object with at least one field")
            continue
        for reason in _pattern_reasons(pattern, ""):
            yield Fault(path, f"InvalidEventPatternException: Event pattern is not valid. Reason: {reason}")


def _pattern_reasons(pattern: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, value in pattern.items():
        name = f"{where}.{key}" if where else key
        if key == "$or":
            if not isinstance(value, list) or len(value) < 2 or not all(isinstance(v, dict) for v in value):
                yield f'"{name}" must be a list of at least two objects'
                continue
            for branch in value:
                yield from _pattern_reasons(branch, where)
        elif isinstance(value, dict):
            if not value:
                yield f'"{name}": Empty objects are not allowed'
            yield from _pattern_reasons(value, name)
        elif not isinstance(value, list):
            yield f'"{name}" must be an object or an array'
        elif not value:
            yield f'"{name}": Empty arrays are not allowed'
        else:
            for item in value:
                yield from _filter_reasons(item, name)


def _filter_reasons(item: object, name: str) -> Iterator[str]:
    if isinstance(item, list):
        yield f'"{name}": Match value must be String, number, true, false, or null'
        return
    if not isinstance(item, dict):
        return
    if len(item) != 1 or next(iter(item)) not in _FILTERS:
        yield f'"{name}": unrecognized match type {", ".join(item)}; known are {", ".join(_FILTERS)}'
        return
    kind, value = next(iter(item.items()))
    if kind == "exists" and not isinstance(value, bool):
        yield f'"{name}": exists match pattern must be either true or false'
    if kind == "numeric" and (
        not isinstance(value, list) or len(value) not in (2, 4) or value[0] not in ("=", "<", "<=", ">", ">=")
    ):
        yield f'"{name}": numeric expects an operator and a number, once or twice'
    if kind == "cidr":
        try:
            ipaddress.ip_network(value, strict=False)
        except (ValueError, TypeError):
            yield f'"{name}": Malformed CIDR {shown(value)}'


def schedule_fault(text: str) -> str:
    """Why EventBridge refuses a schedule, or ""
    (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html)."""
    rate = re.fullmatch(r"rate\((\d+) (\w+)\)", text)
    if rate:
        number, unit = int(rate.group(1)), rate.group(2)
        if number < 1 or unit not in _UNITS:
            return f"expected rate(value unit) with minutes, hours or days; got {shown(text)}"
        if (number == 1) == unit.endswith("s"):
            return f"the unit of {number} is {'singular' if number == 1 else 'plural'}; got {shown(text)}"
        return ""
    cron = re.fullmatch(r"cron\((.+)\)", text)
    if cron is None:
        return f"expected rate(5 minutes) or cron(0 10 * * ? *), got {shown(text)}"
    fields = cron.group(1).split()
    if len(fields) != 6:
        return f"cron takes six fields (minutes hours day-of-month month day-of-week year), got {len(fields)}"
    if not all(re.fullmatch(r"[A-Za-z0-9*?/,#LW-]+", field) for field in fields):
        return f"cron takes numbers, names and * ? / , - # L W; got {shown(text)}"
    if (fields[2] == "?") == (fields[4] == "?"):
        return "exactly one of day-of-month and day-of-week must be ?"
    return ""


@AWS.kind
class EventRule(Kind):
    """PutRule overwrites a rule of the same name."""

    token = RULE
    replace_on = ("name", "namePrefix", "eventBusName")
    json_properties = ("eventPattern",)
    write_only = ("forceDestroy", "namePrefix")
    defaults: ClassVar[Mapping[str, Any]] = {"eventBusName": _DEFAULT_BUS, "forceDestroy": False, "state": "ENABLED"}
    autoname = AutoName("name", 64)
    references = (
        role_ref("roleArn", by="arn"),
        Ref(
            "eventBusName",
            (BUS,),
            by="name",
            code="ResourceNotFoundException",
            accept=lambda name: _bus_name(name) == _DEFAULT_BUS,
        ),
    )
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        yield from matches(args, "name", r"[.\-_A-Za-z0-9]{1,64}", "1 to 64 letters, digits, ., - and _")
        yield from matches(args, "namePrefix", r"[.\-_A-Za-z0-9]{1,38}", "1 to 38 letters, digits, ., - and _")
        yield from length(args, "description", 0, 512)
        if "eventPattern" not in args and "scheduleExpression" not in args:
            yield Fault("eventPattern", "one of eventPattern, scheduleExpression must be set")
        yield from pattern_faults(args)
        for path, text in args.at("scheduleExpression"):
            reason = schedule_fault(text)
            if reason:
                yield Fault(path, reason)
        if "scheduleExpression" in args and args.get("eventBusName", _DEFAULT_BUS) != _DEFAULT_BUS:
            yield Fault("scheduleExpression", "is only for the default event bus")
        yield from conflicting(args, "state", "isEnabled")
        yield from one_of(args, "state", ("ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"))
        yield from arns(args, "roleArn", "iam", "role/")
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        name, bus = name_of(args), _bus_name(args.get("eventBusName", _DEFAULT_BUS))
        return name if bus == _DEFAULT_BUS else f"{bus}/{name}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        code, default = _RULES_PER_BUS
        limit = cloud.quota(code, default)
        bus = args.get("eventBusName", _DEFAULT_BUS)
        names = {r["name"] for r in cloud.find(self.token, eventBusName=bus)} | {args.get("name")}
        if len(names) > limit:
            raise CloudError(
                "LimitExceededException",
                f"The requested resource exceeds the maximum number allowed: {limit:g} rules per event bus",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = id.rsplit("/", 1)[-1]
        state = args.get("state", "ENABLED")
        if args.get("isEnabled") is not None:
            state = "ENABLED" if args.get("isEnabled") else "DISABLED"
        return {
            "name": name,
            "arn": arn("events", cloud.region, cloud.account, f"rule/{id}"),
            "state": state,
            "isEnabled": state != "DISABLED",
        }


def _bus_name(value: str) -> str:
    return value.rsplit("event-bus/", 1)[-1]


@AWS.kind
class EventBus(Kind):
    token = BUS
    replace_on = ("name", "eventSourceName")
    unique = ("name",)
    duplicate_code = "ResourceAlreadyExistsException"
    autoname = AutoName("name", 256)
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", r"[/.\-_A-Za-z0-9]{1,256}", "1 to 256 letters, digits, /, ., - and _")
        if args.get("name") == _DEFAULT_BUS:
            yield Fault("name", "every account has the bus named default already")
        yield from length(args, "description", 0, 512)
        yield from arns(args, "deadLetterConfig.arn", "sqs")
        yield from one_of(args, "logConfig.level", ("OFF", "ERROR", "INFO", "TRACE"))
        yield from one_of(args, "logConfig.includeDetail", ("NONE", "FULL"))
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["name"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsKeyIdentifier", ""), cloud, "ValidationException")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": arn("events", cloud.region, cloud.account, f"event-bus/{id}")}


# Targets that EventBridge calls in the name of a role
# (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html#eb-target-permissions).
_ROLE_SERVICES: Final = (
    "kinesis",
    "ecs",
    "batch",
    "states",
    "ssm",
    "codebuild",
    "codepipeline",
    "sagemaker",
    "redshift",
)
_OF_SERVICE: Final = {
    "batchTarget": "batch", "ecsTarget": "ecs", "kinesisTarget": "kinesis", "sqsTarget": "sqs",
    "redshiftTarget": "redshift", "sagemakerPipelineTarget": "sagemaker", "appsyncTarget": "appsync",
}  # fmt: skip


@AWS.kind
class EventTarget(Kind):
    """PutTargets overwrites a target of the same id."""

    token = TARGET
    replace_on = ("rule", "targetId", "eventBusName")
    json_properties = ("input",)
    write_only = ("forceDestroy",)
    defaults: ClassVar[Mapping[str, Any]] = {"eventBusName": _DEFAULT_BUS, "forceDestroy": False}
    references = (
        Ref("rule", (RULE,), by="name", code="ResourceNotFoundException", delete_code="ValidationException"),
        role_ref("roleArn", by="arn"),
        Ref("deadLetterConfig.arn", (QUEUE,), by="arn", code="ResourceNotFoundException", blocks_delete=False),
    )
    taggable = False
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "targetId", r"[.\-_A-Za-z0-9]{1,64}", "1 to 64 letters, digits, ., - and _")
        yield from arns(args, "arn")
        yield from arns(args, "roleArn", "iam", "role/")
        yield from arns(args, "deadLetterConfig.arn", "sqs")
        yield from conflicting(args, "input", "inputPath", "inputTransformer")
        yield from length(args, "input", 0, 8192)
        for path, text in args.at("input"):
            try:
                json.loads(text)
            except (ValueError, TypeError) as error:
                yield Fault(path, f"expected JSON text: {error}")
        yield from matches(args, "inputPath", r"\$.{0,255}", "a JSON path that begins with $")
        yield from _transformer_faults(args)
        # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_RetryPolicy.html
        yield from between(args, "retryPolicy.maximumRetryAttempts", 0, 185)
        yield from between(args, "retryPolicy.maximumEventAgeInSeconds", 60, 86_400, "seconds")
        yield from _service_faults(args)
        yield from between(args, "ecsTarget.taskCount", 1, 2**31 - 1)
        yield from one_of(args, "ecsTarget.launchType", ("EC2", "FARGATE", "EXTERNAL"))
        yield from between(args, "batchTarget.arraySize", 2, 10_000)
        yield from between(args, "batchTarget.jobAttempts", 1, 10)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        bus = _bus_name(args.get("eventBusName", _DEFAULT_BUS))
        target = args.get("targetId") or f"terraform-{unique_suffix()}"
        return f"{args['rule']}-{target}" if bus == _DEFAULT_BUS else f"{bus}-{args['rule']}-{target}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        others = {
            t["targetId"] for t in cloud.find(self.token, rule=args["rule"], eventBusName=args.get("eventBusName"))
        }
        if len(others | {args.get("targetId")}) > _TARGETS_PER_RULE:
            raise CloudError(
                "LimitExceededException",
                f"The requested resource exceeds the maximum number allowed: {_TARGETS_PER_RULE} targets per rule",
            )
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        target: str = args["arn"]
        _, _, service, region, account, name = target.split(":", 5)
        if service in ("sns", "sqs", "lambda", "logs") and region != cloud.region:
            raise CloudError("ValidationException", f"Provided Arn {target} is not of region {cloud.region}.")
        if account != cloud.account:
            return
        tokens = {"sns": TOPIC, "sqs": QUEUE}
        if service in tokens and not cloud.find(tokens[service], arn=target):
            raise CloudError("ValidationException", f"Provided target {target} does not exist.")
        if service == "logs" and name.startswith("log-group:"):
            group = name.removeprefix("log-group:").removesuffix(":*")
            if not cloud.find("aws:cloudwatch/logGroup:LogGroup", name=group):
                raise CloudError("ValidationException", f"Provided target {target} does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        bus = _bus_name(args.get("eventBusName", _DEFAULT_BUS))
        prefix = f"{args['rule']}-" if bus == _DEFAULT_BUS else f"{bus}-{args['rule']}-"
        return {"targetId": id.removeprefix(prefix)}


def _transformer_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html"""
    for path, transformer in args.at("inputTransformer"):
        if not isinstance(transformer, Mapping):
            continue
        paths, template = transformer.get("inputPaths"), transformer.get("inputTemplate")
        if isinstance(paths, Mapping):
            if len(paths) > 100:
                yield Fault(f"{path}.inputPaths", f"expected at most 100 paths, got {len(paths)}")
            for key, value in paths.items():
                if not re.fullmatch(r"(?!AWS)[A-Za-z0-9_-]{1,256}", key):
                    yield Fault(
                        f"{path}.inputPaths",
                        f"expected letters, digits, _ and -, not beginning with AWS; got {shown(key)}",
                    )
                if isinstance(value, str) and not value.startswith("$"):
                    yield Fault(
                        f"{path}.inputPaths", f"{key}: expected a JSON path that begins with $, got {shown(value)}"
                    )
        if isinstance(template, str):
            if not 1 <= len(template) <= 8192:
                yield Fault(f"{path}.inputTemplate", f"expected 1 to 8,192 characters, got {len(template):,}")
            if paths is UNKNOWN:
                continue
            known = set(paths) if isinstance(paths, Mapping) else set()
            for name in re.findall(r"<([A-Za-z0-9_.-]+)>", template):
                if name not in known and not name.startswith("aws.events."):
                    yield Fault(
                        f"{path}.inputTemplate",
                        f"<{name}> is not among inputPaths ({', '.join(sorted(known)) or 'none'})",
                    )


def _service_faults(args: Args) -> Iterator[Fault]:
    target = args.get("arn")
    if not is_arn(target):
        return
    service = target.split(":")[2]
    for key, wanted in _OF_SERVICE.items():
        if key in args and service != wanted:
            yield Fault(key, f"is for a target of {wanted}, arn is of {service}")
    if service in _ROLE_SERVICES and "roleArn" not in args:
        yield Fault("roleArn", f"is required for a target of {service}")
    if service == "sqs" and target.endswith(".fifo") and "sqsTarget" not in args:
        yield Fault("sqsTarget", "messageGroupId is required for a FIFO queue")
    for kind in ("ecs", "batch", "redshift"):
        if service == kind and f"{kind}Target" not in args:
            yield Fault(f"{kind}Target", f"is required for a target of {kind}")
