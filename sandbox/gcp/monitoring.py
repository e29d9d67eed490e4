"""Cloud Monitoring: alert policies and notification channels.

https://docs.cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.alertPolicies
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.gcp import tokens
from sandbox.gcp.api import GcpKind, check_count, label_faults, number, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown

# https://docs.cloud.google.com/monitoring/quotas
POLICIES: Final = 2000
CHANNELS: Final = 4000
CONDITIONS_MAX: Final = 6
CHANNELS_PER_POLICY: Final = 16
_CONDITIONS: Final = (
    "conditionThreshold", "conditionAbsent", "conditionMatchedLog", "conditionMonitoringQueryLanguage",
    "conditionPrometheusQueryLanguage", "conditionSql",
)  # fmt: skip
_COMPARISONS: Final = (
    "COMPARISON_GT", "COMPARISON_GE", "COMPARISON_LT", "COMPARISON_LE", "COMPARISON_EQ", "COMPARISON_NE",
)  # fmt: skip
_ALIGNERS: Final = (
    "ALIGN_NONE", "ALIGN_DELTA", "ALIGN_RATE", "ALIGN_INTERPOLATE", "ALIGN_NEXT_OLDER", "ALIGN_MIN", "ALIGN_MAX",
    "ALIGN_MEAN", "ALIGN_COUNT", "ALIGN_SUM", "ALIGN_STDDEV", "ALIGN_COUNT_TRUE", "ALIGN_COUNT_FALSE",
    "ALIGN_FRACTION_TRUE", "ALIGN_PERCENTILE_99", "ALIGN_PERCENTILE_95", "ALIGN_PERCENTILE_50",
    "ALIGN_PERCENTILE_05", "ALIGN_PERCENT_CHANGE",
)  # fmt: skip
_REDUCERS: Final = (
    "REDUCE_NONE", "REDUCE_MEAN", "REDUCE_MIN", "REDUCE_MAX", "REDUCE_SUM", "REDUCE_STDDEV", "REDUCE_COUNT",
    "REDUCE_COUNT_TRUE", "REDUCE_COUNT_FALSE", "REDUCE_FRACTION_TRUE", "REDUCE_PERCENTILE_99",
    "REDUCE_PERCENTILE_95", "REDUCE_PERCENTILE_50", "REDUCE_PERCENTILE_05",
)  # fmt: skip
_SECONDS: Final = re.compile(r"(\d+)s")
# https://docs.cloud.google.com/monitoring/alerts/using-channels-api: type -> labels it needs, secrets it needs
_CHANNEL_TYPES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "email": (("email_address",), ""),
    "sms": (("number",), ""),
    "pubsub": (("topic",), ""),
    "slack": (("channel_name",), "authToken"),
    "pagerduty": ((), "serviceKey"),
    "webhook_tokenauth": (("url",), ""),
    "webhook_basicauth": (("url", "username"), "password"),
    "google_chat": (("space",), ""),
    "campfire": ((), "authToken"),
    "hipchat": ((), "authToken"),
}


@GCP.kind
class NotificationChannel(GcpKind):
    """https://docs.cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.notificationChannels"""

    token = tokens.NOTIFICATION_CHANNEL
    label = "notification_channel"
    replace_on = ("project",)
    write_only = ("forceDelete", "deletionPolicy", "sensitiveLabels")
    defaults: ClassVar[Mapping[str, Any]] = {"enabled": True, "forceDelete": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "type", tuple(_CHANNEL_TYPES))
        yield from label_faults(args, "userLabels")
        yield from length(args, "displayName", 0, 512)
        yield from length(args, "description", 0, 1024)
        labels, secret = _CHANNEL_TYPES.get(str(args.get("type")), ((), ""))
        given = args["labels"] if isinstance(args["labels"], dict) else {}
        for key in labels:
            if given.get(key) is None and not (args["labels"] is not None and not isinstance(args["labels"], dict)):
                yield Fault(f"labels.{key}", f"is required of type {args.get('type')}")
        if secret and (args["sensitiveLabels"] is None):
            yield Fault(f"sensitiveLabels.{secret}", f"is required of type {args.get('type')}")
        yield from matches(args, "labels.email_address", r"[^@\s]+@[^@\s]+\.[^@\s]+", "an e-mail address")
        yield from matches(args, "labels.topic", r"projects/[^/]+/topics/[^/]+", "projects/p/topics/t")
        yield from matches(args, "labels.url", r"https?://\S+", "an address")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/notificationChannels/{number()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        check_count(cloud, "monitoring.googleapis.com/notification-channels", len(cloud.all(self.token)), CHANNELS)

    def check_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("forceDelete"):
            return
        for policy in cloud.all(tokens.ALERT_POLICY):
            if resource.id in (policy["notificationChannels"] or []):
                raise CloudError(
                    "failedPrecondition",
                    f"Cannot delete notification channel '{resource.id}' because it is in use by '{policy.id}'. "
                    "Pass forceDelete to remove it from the policies.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"project": project_of(args, cloud), "name": id, "verificationStatus": ""}


@GCP.kind
class AlertPolicy(GcpKind):
    token = tokens.ALERT_POLICY
    label = "alert_policy"
    replace_on = ("project",)
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"enabled": True}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "combiner", ("AND", "OR", "AND_WITH_MATCHING_RESOURCE"))
        yield from one_of(args, "severity", ("CRITICAL", "ERROR", "WARNING"))
        yield from length(args, "displayName", 1, 512)
        yield from length(args, "conditions", 1, CONDITIONS_MAX)
        yield from length(args, "notificationChannels", 0, CHANNELS_PER_POLICY)
        yield from matches(
            args, "notificationChannels[*]", r"projects/[^/]+/notificationChannels/[^/]+",
            "projects/p/notificationChannels/n",
        )  # fmt: skip
        yield from label_faults(args, "userLabels")
        yield from length(args, "documentation.content", 1, 10_240)
        yield from one_of(args, "documentation.mimeType", ("text/markdown",))
        for i, condition in enumerate(args["conditions"] if isinstance(args["conditions"], list) else []):
            if isinstance(condition, dict):
                yield from self._condition_faults(f"conditions[{i}]", condition)
        for kind in ("conditionThreshold", "conditionAbsent"):
            yield from self._metric_faults(args, kind)
        yield from self._strategy_faults(args)

    @staticmethod
    def _condition_faults(path: str, condition: Mapping[str, Any]) -> Iterator[Fault]:
        kinds = [kind for kind in _CONDITIONS if condition.get(kind) is not None]
        if len(kinds) != 1:
            got = ", ".join(kinds) or "none"
            yield Fault(path, f"expected one of {', '.join(_CONDITIONS)}; got {got}")
        for kind in ("conditionThreshold", "conditionAbsent"):
            block = condition.get(kind)
            text = block.get("filter") if isinstance(block, dict) else ""
            if isinstance(block, dict) and text is None:
                yield Fault(f"{path}.{kind}.filter", "is required")
            if isinstance(text, str) and text:
                for word in ("metric.type", "resource.type"):
                    if word not in text:
                        yield Fault(f"{path}.{kind}.filter", f"has to name one {word}, got {shown(text)}")

    @staticmethod
    def _metric_faults(args: Args, kind: str) -> Iterator[Fault]:
        """Durations in whole minutes (https://docs.cloud.google.com/monitoring/alerts/concepts-indepth)."""
        at = f"conditions[*].{kind}"
        yield from one_of(args, f"{at}.comparison", _COMPARISONS)
        low = 120 if kind == "conditionAbsent" else 0
        for path, text in args.at(f"{at}.duration"):
            yield from _minutes(path, text, low, 84_600)
        for lists in ("aggregations", "denominatorAggregations"):
            for path, text in args.at(f"{at}.{lists}[*].alignmentPeriod"):
                yield from _minutes(path, text, 60, 104 * 7 * 86_400)
            yield from one_of(args, f"{at}.{lists}[*].perSeriesAligner", _ALIGNERS)
            yield from one_of(args, f"{at}.{lists}[*].crossSeriesReducer", _REDUCERS)
            for path, entry in args.at(f"{at}.{lists}[*]"):
                aligned = entry.get("perSeriesAligner") not in (None, "ALIGN_NONE")
                if aligned and entry.get("alignmentPeriod") is None:
                    yield Fault(f"{path}.alignmentPeriod", "is required with a perSeriesAligner")
                if entry.get("crossSeriesReducer") not in (None, "REDUCE_NONE") and not aligned:
                    yield Fault(f"{path}.perSeriesAligner", "is required with a crossSeriesReducer")
        yield from between(args, f"{at}.trigger.count", 1, 2**31 - 1)
        yield from between(args, f"{at}.trigger.percent", 0, 100)
        yield from one_of(
            args,
            f"{at}.evaluationMissingData",
            ("EVALUATION_MISSING_DATA_INACTIVE", "EVALUATION_MISSING_DATA_ACTIVE", "EVALUATION_MISSING_DATA_NO_OP"),
        )

    @staticmethod
    def _strategy_faults(args: Args) -> Iterator[Fault]:
        """Alerts on log entries stand alone and need a rate; others may have none
        (https://docs.cloud.google.com/logging/docs/alerting/log-based-alerts)."""
        conditions = args.get("conditions") or []
        logs = [c for c in conditions if c.get("conditionMatchedLog") is not None]
        limit = ((args.get("alertStrategy") or {}).get("notificationRateLimit") or {}).get("period")
        known = not args.is_unknown("alertStrategy")
        if logs and len(conditions) > 1:
            yield Fault("conditions", "a condition on log entries stands alone")
        if logs and not limit and known:
            yield Fault("alertStrategy.notificationRateLimit", "is required with conditionMatchedLog")
        if conditions and not logs and limit:
            yield Fault("alertStrategy.notificationRateLimit", "is only for conditionMatchedLog")
        for path, text in args.at("alertStrategy.autoClose"):
            yield from _range(path, text, 1800, 604_800)
        yield from one_of(
            args, "alertStrategy.notificationPrompts[*]", ("NOTIFICATION_PROMPT_UNSPECIFIED", "OPENED", "CLOSED")
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/alertPolicies/{number()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        check_count(cloud, "monitoring.googleapis.com/alert-policies", len(cloud.all(self.token)), POLICIES)
        self.check_state(args, cloud, None)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        for channel in args.get("notificationChannels") or []:
            if cloud.get(tokens.NOTIFICATION_CHANNEL, channel) is None:
                raise CloudError("notFound", f"The notification channel '{channel}' does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record = (old["creationRecords"] if old else None) or [{"mutateTime": time, "mutatedBy": "sandbox@example.com"}]
        conditions = [
            {**condition, "name": f"{id}/conditions/{i + 1}"} for i, condition in enumerate(args["conditions"] or [])
        ]
        return {"project": project_of(args, cloud), "name": id, "creationRecords": record, "conditions": conditions}


def _range(path: str, text: object, low: int, high: int) -> Iterator[Fault]:
    match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if match is None or not low <= int(match[1]) <= high:
        yield Fault(path, f"expected {low}s to {high}s, got {shown(text)}")


def _minutes(path: str, text: object, low: int, high: int) -> Iterator[Fault]:
    yield from _range(path, text, low, high)
    match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
    if match is not None and int(match[1]) % 60:
        yield Fault(path, f"expected a multiple of 60s, got {text}")
