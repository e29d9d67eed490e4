"""CloudWatch Logs: groups, streams and metric filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import conflicting, length, matches, one_of, shown

GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html; 0 keeps for ever
_RETENTIONS: Final = (
    0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
_CHARS: Final = r"[.\-_/#A-Za-z0-9]"


@AWS.kind
class LogGroup(Kind):
    token = GROUP
    replace_on = ("name", "namePrefix", "logGroupClass")
    write_only = ("skipDestroy", "namePrefix")
    defaults: ClassVar[Mapping[str, Any]] = {
        "retentionInDays": 0,
        "skipDestroy": False,
        "deletionProtectionEnabled": False,
    }
    autoname = AutoName("name", 512)
    unique = ("name",)
    duplicate_code = "ResourceAlreadyExistsException"
    not_found_code = "ResourceNotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        yield from matches(args, "name", _CHARS + "{1,512}", "1 to 512 letters, digits and .-_/#")
        yield from matches(args, "namePrefix", _CHARS + "{1,486}", "1 to 486 letters, digits and .-_/#")
        if str(args.get("name", "")).startswith("aws/"):
            yield Fault("name", "names that begin with aws/ belong to AWS")
        yield from one_of(args, "retentionInDays", _RETENTIONS)
        yield from one_of(args, "logGroupClass", ("STANDARD", "INFREQUENT_ACCESS", "DELIVERY"))
        if args.get("logGroupClass") == "DELIVERY" and args.get("retentionInDays", 2) not in (0, 2):
            yield Fault("retentionInDays", "a log group of class DELIVERY keeps 2 days")
        yield from matches(args, "kmsKeyId", r"arn:aws(-[a-z]+)*:kms:.+", "the ARN of a key")
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return name_of(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsKeyId", ""), cloud, "InvalidParameterException")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsKeyId", ""), cloud, "InvalidParameterException")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "name": id,
            "arn": arn("logs", cloud.region, cloud.account, f"log-group:{id}"),
            "logGroupClass": args.get("logGroupClass", "STANDARD"),
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["deletionProtectionEnabled"]:
            raise CloudError("ValidationException", f"Log group {resource.id} has deletion protection enabled.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in ("aws:cloudwatch/logStream:LogStream", "aws:cloudwatch/logMetricFilter:LogMetricFilter"):
            for other in cloud.find(token, logGroupName=resource.id):
                cloud.remove(token, other.id)


class _InGroup(Kind):
    """What lives in a log group and goes with it."""

    references = (Ref("logGroupName", (GROUP,), by="name", code="ResourceNotFoundException", blocks_delete=False),)
    taggable = False
    not_found_code = "ResourceNotFoundException"


@AWS.kind
class LogStream(_InGroup):
    token = "aws:cloudwatch/logStream:LogStream"
    replace_on = ("name", "logGroupName")
    autoname = AutoName("name", 512)
    unique = ("logGroupName", "name")
    duplicate_code = "ResourceAlreadyExistsException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", r"[^:*]{1,512}", "1 to 512 characters without : and *")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['logGroupName']}:{args['name']}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        resource = f"log-group:{args['logGroupName']}:log-stream:{args['name']}"
        return {"arn": arn("logs", cloud.region, cloud.account, resource)}


@AWS.kind
class LogMetricFilter(_InGroup):
    """PutMetricFilter overwrites a filter of the same name."""

    token = "aws:cloudwatch/logMetricFilter:LogMetricFilter"
    replace_on = ("name", "logGroupName")
    autoname = AutoName("name", 512)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", r"[^:*]{1,512}", "1 to 512 characters without : and *")
        # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_MetricTransformation.html
        yield from length(args, "pattern", 0, 1024)
        yield from matches(
            args, "metricTransformation.name", r"[^:*$]{1,255}", "1 to 255 characters without :, * and $"
        )
        yield from matches(
            args, "metricTransformation.namespace", r"[^:*$]{1,255}", "1 to 255 characters without :, * and $"
        )
        yield from length(args, "metricTransformation.dimensions", 0, 3)
        for path, transformation in args.at("metricTransformation"):
            if transformation.get("dimensions") not in (None, {}) and transformation.get("defaultValue") is not None:
                yield Fault(f"{path}.defaultValue", "conflicts with dimensions")
        for path, text in args.at("metricTransformation.value"):
            if not text or len(text) > 100:
                yield Fault(path, f"expected 1 to 100 characters, got {shown(text)}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['logGroupName']}:{args['name']}"
