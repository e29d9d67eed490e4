"""What hangs on an Auto Scaling group: lifecycle hooks, attachments, schedules, notifications and single tags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.aws import tokens
from sandbox.aws.autoscaling import GROUP, group_ref, owned_id
from sandbox.aws.autoscaling_rules import hook_faults
from sandbox.aws.formats import arn, arns
from sandbox.aws.iam import role_ref
from sandbox.aws.messaging import QUEUE, TOPIC
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import new_uuid, tag_fault
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, exactly_one, length, matches, one_of, requires, shown

# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html: per group
_HOOKS_PER_GROUP: Final = 50
_SCHEDULES_PER_GROUP: Final = 125
_TARGET_GROUPS_PER_GROUP: Final = 50


@AWS.kind
class LifecycleHook(Kind):
    """PutLifecycleHook overwrites a hook of the same name."""

    token = "aws:autoscaling/lifecycleHook:LifecycleHook"
    replace_on = ("name", "autoscalingGroupName")
    autoname = AutoName("name", 255)
    references = (
        group_ref(),
        role_ref("roleArn", by="arn"),
        Ref("notificationTargetArn", (TOPIC, QUEUE), by="arn", code="ValidationError", blocks_delete=False),
    )
    taggable = False
    not_found_code = "ValidationError"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from hook_faults(args)
        yield from requires(args, "roleArn", "notificationTargetArn")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return owned_id(self.token, args["name"], args["autoscalingGroupName"], cloud)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        names = {h["name"] for h in cloud.find(self.token, autoscalingGroupName=args["autoscalingGroupName"])} | {
            args["name"]
        }
        if len(names) > _HOOKS_PER_GROUP:
            raise CloudError(
                "LimitExceeded", f"You've reached the maximum limit of {_HOOKS_PER_GROUP} lifecycle hooks."
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "defaultResult": args.get("defaultResult", "ABANDON"),
            "heartbeatTimeout": args.get("heartbeatTimeout", 3600),
        }


@AWS.kind
class Attachment(Kind):
    token = "aws:autoscaling/attachment:Attachment"
    replace_on = ("autoscalingGroupName", "elb", "lbTargetGroupArn")
    references = (
        group_ref(),
        Ref("lbTargetGroupArn", (tokens.TARGET_GROUP,), by="arn", code="ValidationError", blocks_delete=False),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from exactly_one(args, "lbTargetGroupArn", "elb")
        yield from arns(args, "lbTargetGroupArn", "elasticloadbalancing", "targetgroup/")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['autoscalingGroupName']}-{args.get('lbTargetGroupArn') or args.get('elb')}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        attached = cloud.find(self.token, autoscalingGroupName=args["autoscalingGroupName"])
        if len(attached) + 1 > _TARGET_GROUPS_PER_GROUP:
            raise CloudError("LimitExceeded", f"A group takes at most {_TARGET_GROUPS_PER_GROUP} target groups.")


@AWS.kind
class TrafficSourceAttachment(Kind):
    token = "aws:autoscaling/trafficSourceAttachment:TrafficSourceAttachment"
    replace_on = ("autoscalingGroupName", "trafficSource")
    references = (group_ref(),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "trafficSource.type", ("elb", "elbv2", "vpc-lattice"))
        yield from length(args, "trafficSource.identifier", 1, 2048)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        source = args["trafficSource"] or {}
        return f"{args['autoscalingGroupName']},{source.get('type')},{source.get('identifier')}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        source = args["trafficSource"] or {}
        if source.get("type") == "elbv2" and not cloud.find(tokens.TARGET_GROUP, arn=source.get("identifier")):
            raise CloudError(
                "ValidationError", f"Provided Target Groups may not be valid: {source.get('identifier')} does not exist"
            )


_CRON_FIELD: Final = r"(\*|\d+(-\d+)?|[A-Za-z]{3}(-[A-Za-z]{3})?)(/\d+)?"
_CRON: Final = re.compile(rf"{_CRON_FIELD}(,{_CRON_FIELD})*")
_NO_CHANGE: Final = -1


@AWS.kind
class Schedule(Kind):
    """A scheduled action; -1 leaves a size as it is."""

    token = "aws:autoscaling/schedule:Schedule"
    replace_on = ("autoscalingGroupName", "scheduledActionName")
    references = (group_ref(),)
    taggable = False
    not_found_code = "ValidationError"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args, "scheduledActionName", r"[ -9;-~]{1,255}", "1 to 255 printable characters without a colon"
        )
        sizes = {key: args.get(key, _NO_CHANGE) for key in ("minSize", "maxSize", "desiredCapacity")}
        for key in sizes:
            yield from between(args, key, _NO_CHANGE, 2**31 - 1)
        if all(not args.is_unknown(key) and size == _NO_CHANGE for key, size in sizes.items()):
            yield Fault("desiredCapacity", "one of minSize, maxSize, desiredCapacity must be set")
        low, high, desired = sizes["minSize"], sizes["maxSize"], sizes["desiredCapacity"]
        if _NO_CHANGE not in (low, high) and low > high:
            yield Fault("minSize", f"must be at most maxSize ({high}), got {low}")
        if desired != _NO_CHANGE and (desired < low or (high != _NO_CHANGE and desired > high)):
            yield Fault("desiredCapacity", f"must be between minSize and maxSize, got {desired}")
        # https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScheduledUpdateGroupAction.html
        for key in ("startTime", "endTime"):
            yield from matches(
                args, key, r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", "a UTC time such as 2026-12-01T08:00:00Z"
            )
        start, end = args.get("startTime"), args.get("endTime")
        if start and end and end <= start:
            yield Fault("endTime", f"must be after startTime ({start}), got {end}")
        for path, text in args.at("recurrence"):
            fields = text.split()
            if len(fields) != 5 or not all(_CRON.fullmatch(field) for field in fields):
                yield Fault(path, f"expected five cron fields (minute hour day month weekday), got {shown(text)}")
        if "recurrence" not in args and "startTime" not in args:
            yield Fault("startTime", "one of startTime, recurrence must be set")
        for path, name in args.at("timeZone"):
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                yield Fault(path, f"expected a time zone of the IANA database such as Etc/UTC, got {shown(name)}")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return owned_id(self.token, args["scheduledActionName"], args["autoscalingGroupName"], cloud)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._require_future(args)
        others = cloud.find(self.token, autoscalingGroupName=args["autoscalingGroupName"])
        if len({s["scheduledActionName"] for s in others} | {args["scheduledActionName"]}) > _SCHEDULES_PER_GROUP:
            raise CloudError("LimitExceeded", f"A group takes at most {_SCHEDULES_PER_GROUP} scheduled actions.")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._require_future(args)

    def _require_future(self, args: Args) -> None:
        for key in ("startTime", "endTime"):
            if args.get(key) and args[key] < datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"):
                raise CloudError("ValidationError", f"Given {key[:-4]} time is in the past")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        before = old or cloud.get(self.token, id)
        group, name = args["autoscalingGroupName"], args["scheduledActionName"]
        resource = f"scheduledUpdateGroupAction:{new_uuid()}:autoScalingGroupName/{group}:scheduledActionName/{name}"
        return {"arn": before["arn"] if before else arn("autoscaling", cloud.region, cloud.account, resource)}


# https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-sns-notifications.html
_NOTIFICATIONS: Final = tuple(
    f"autoscaling:{name}"
    for name in (
        "EC2_INSTANCE_LAUNCH",
        "EC2_INSTANCE_LAUNCH_ERROR",
        "EC2_INSTANCE_TERMINATE",
        "EC2_INSTANCE_TERMINATE_ERROR",
        "TEST_NOTIFICATION",
    )
)


@AWS.kind
class Notification(Kind):
    token = "aws:autoscaling/notification:Notification"
    replace_on = ("topicArn",)
    sets = ("groupNames", "notifications")
    references = (
        group_ref("groupNames[*]"),
        Ref("topicArn", (TOPIC,), by="arn", code="ValidationError", blocks_delete=False),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arns(args, "topicArn", "sns")
        yield from length(args, "groupNames", 1, 500)
        yield from length(args, "notifications", 1, len(_NOTIFICATIONS))
        yield from one_of(args, "notifications[*]", _NOTIFICATIONS)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["topicArn"])


@AWS.kind
class Tag(Kind):
    """One tag of a group that another program made."""

    token = "aws:autoscaling/tag:Tag"
    replace_on = ("autoscalingGroupName", "tag.key")
    references = (group_ref(),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        for path, tag in args.at("tag"):
            if isinstance(tag, Mapping):
                yield from tag_fault(path, tag.get("key"), tag.get("value"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['autoscalingGroupName']},{args['tag']['key']}"

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        self._write(resource, cloud, resource["tag"])

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        self._write(resource, cloud, None)

    def _write(self, resource: Resource, cloud: Cloud, tag: Mapping[str, Any] | None) -> None:
        for group in cloud.find(GROUP, name=resource["autoscalingGroupName"]):
            kept = [t for t in group["tags"] or [] if t["key"] != resource["tag"]["key"]]
            group.outputs["tags"] = [*kept, dict(tag)] if tag else kept
            cloud.put(group)
