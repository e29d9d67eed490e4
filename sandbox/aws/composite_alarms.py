"""Alarms of other alarms, and dashboards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws.cloudwatch import ACTIONS, ALARM, COMPOSITE, action_faults, require_actions
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import tag_faults
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import between, length, matches, shown
from sandbox.values import has_unknown

_RULE_WORDS: Final = re.compile(
    r'\s*(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|\'([^\']+)\'|([^\s()"\']+))\s*\)|\s*(AND|OR|NOT|TRUE|FALSE|\(|\))'
)


def rule_alarms(rule: str) -> tuple[list[str], str]:
    """(the alarms that an alarm rule names, what is wrong with it)
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html)."""
    position, depth, expects_operand = 0, 0, True
    named: list[str] = []
    while rule[position:].strip():
        match = _RULE_WORDS.match(rule, position)
        if match is None:
            return named, f"cannot read the rule at {shown(rule[position:].strip())}"
        position = match.end()
        word = match.group(5)
        if word in ("AND", "OR", ")"):
            if expects_operand:
                return named, f"expected a state such as ALARM(name) before {word}"
            depth -= word == ")"
            expects_operand = word != ")"
        elif not expects_operand:
            return named, f"expected AND or OR before {shown(match.group(0).strip())}"
        elif word == "(":
            depth += 1
        elif word != "NOT":
            if match.group(1):
                named.append(match.group(2) or match.group(3) or match.group(4))
            expects_operand = False
        if depth < 0:
            return named, "there is a closing parenthesis too many"
    if depth:
        return named, "a parenthesis is not closed"
    return named, "the rule ends where a state is expected" if expects_operand else ""


@AWS.kind
class CompositeAlarm(Kind):
    token = COMPOSITE
    replace_on = ("alarmName",)
    sets = ACTIONS
    defaults: ClassVar[Mapping[str, Any]] = {"actionsEnabled": True}
    not_found_code = "ResourceNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from length(args, "alarmName", 1, 255)
        yield from length(args, "alarmDescription", 0, 1024)
        yield from length(args, "alarmRule", 1, 10_240)
        for path, rule in args.at("alarmRule"):
            named, problem = rule_alarms(rule)
            if problem:
                yield Fault(path, problem)
            elif len(set(named)) > 100:
                yield Fault(path, f"expected at most 100 alarms in a rule, got {len(set(named))}")
        yield from between(args, "actionsSuppressor.extensionPeriod", 0, 2**31 - 1, "seconds")
        yield from between(args, "actionsSuppressor.waitPeriod", 0, 2**31 - 1, "seconds")
        yield from action_faults(args)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["alarmName"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        require_actions(args, cloud)
        names = list(rule_alarms(args["alarmRule"])[0])
        suppressor = (args.get("actionsSuppressor") or {}).get("alarm")
        for name in [*names, *([suppressor] if suppressor else [])]:
            bare = name.rsplit(":alarm:", 1)[-1]
            if bare == args["alarmName"]:
                raise CloudError("ValidationError", "An alarm rule cannot name its own alarm")
            if not cloud.find(ALARM, name=bare) and not cloud.find(COMPOSITE, alarmName=bare):
                raise CloudError(
                    "ValidationError", f"Could not save the composite alarm: the alarm {bare} does not exist"
                )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": arn("cloudwatch", cloud.region, cloud.account, f"alarm:{id}")}


@AWS.kind
class Dashboard(Kind):
    token = "aws:cloudwatch/dashboard:Dashboard"
    replace_on = ("dashboardName",)
    json_properties = ("dashboardBody",)
    taggable = False
    not_found_code = "ResourceNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "dashboardName", r"[A-Za-z0-9_-]{1,255}", "1 to 255 letters, digits, - and _")
        for path, text in args.at("dashboardBody"):
            yield from _body_faults(path, text)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["dashboardName"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"dashboardArn": arn("cloudwatch", "", cloud.account, f"dashboard/{id}")}


def _body_faults(path: str, text: str) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html"""
    try:
        body = json.loads(text)
    except (ValueError, TypeError) as error:
        yield Fault(path, f"InvalidParameterInput: the dashboard body is not valid JSON: {error}")
        return
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list):
        yield Fault(path, "InvalidParameterInput: the dashboard body needs a list of widgets")
        return
    if len(widgets) > 500:
        yield Fault(path, f"expected at most 500 widgets, got {len(widgets)}")
    for i, widget in enumerate(widgets):
        if has_unknown(widget) or not isinstance(widget, dict):
            continue
        if widget.get("type") not in ("metric", "text", "log", "alarm", "explorer", "custom"):
            yield Fault(
                path,
                f"widgets[{i}].type: expected metric, text, log, alarm, explorer or custom; got "
                f"{shown(widget.get('type'))}",
            )
        if "properties" not in widget:
            yield Fault(path, f"widgets[{i}]: properties is required")
        for key, low, high in (("x", 0, 23), ("y", 0, 10**6), ("width", 1, 24), ("height", 1, 1000)):
            value = widget.get(key)
            if value is not None and not (isinstance(value, int) and low <= value <= high):
                yield Fault(path, f"widgets[{i}].{key}: expected {low} to {high:,}, got {shown(value)}")
