"""What only the whole stack says: budget, fallback, failover, quotas; on the recorded plans of every cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

import policy
from cost.plan.preview import Change, Preview, Resource, read
from policy.findings import Policy, Stack
from policy.rules import budget, failover, fallback, quotas
from tests.policy.resources import TODAY

PLANS: Final = Path(__file__).parents[1] / "cost" / "plans"
REGIONS: Final = ("aws-us-east-1", "azure-eastus", "gcp-us-central1")
GLOBALS: Final = ("global", "global-cloudflare", "global-traffic-manager")
CUT: Final = ("required-tags", "deletion-protection", "least-privilege")
"""Recorded plans are without tags, protection and policy documents."""
Edit = Callable[[Resource], Resource | None]


def plan(name: str, edit: Edit = lambda one: one) -> Preview:
    """A recorded plan with its resources edited; None takes one out."""
    found = read(PLANS / f"{name}.json")
    changes = []
    for change in found.changes:
        after = edit(change.after) if change.after is not None else None
        if after is not None:
            changes.append(Change(change.op, change.urn, change.type, None, after))
    return replace(found, changes=tuple(changes))


def setting(name: str, type_: str, *path: str, value: Any) -> Edit:
    """Sets the value at a path of the resources of a type whose name has this text."""

    def edit(one: Resource) -> Resource:
        if one.type != type_ or name not in one.name:
            return one
        return replace(one, inputs=_set(one.inputs, path, value))

    return edit


def _set(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    if isinstance(value, list):
        return [_set(item, path, new) if item.get("name") == path[0] else item for item in value]
    if path[0] in ("SPILLWAY_DRY_RUN", "SPILLWAY_ON_DEMAND_GROUP") and "value" in value:
        return {**value, "value": new}
    return {**value, path[0]: _set(value.get(path[0], {}), path[1:], new)}


def without(type_: str, name: str = "") -> Edit:
    return lambda one: None if one.type == type_ and name in one.name else one


def said(which: Policy[Any], preview: Preview, **told: Any) -> list[str]:
    stack = Stack(preview.stack, tuple(preview.after), preview.config, TODAY)
    return [one.message for one in which.find(stack, which.settings.model_validate(told)) if one.judged]


@pytest.mark.parametrize("name", [*REGIONS, *GLOBALS])
def test_recorded_plans_of_the_shipped_stacks_pass(name: str) -> None:
    assert policy.check(plan(name), dict.fromkeys(CUT, "disabled"), today=TODAY) == []


def test_the_worst_case_is_held_to_the_stack_s_own_budget_unless_another_is_told() -> None:
    preview = plan("aws-us-east-1")
    (message,) = said(budget.POLICY, preview)
    assert message.startswith("80,835.33 USD a month with no spot anywhere, all of the target on demand, ")
    assert message.endswith(" of it aws-us-east-1-pools-on-demand; allowed are 60,000.00 USD")
    assert said(budget.POLICY, preview, monthlyUsd=90_000) == []
    assert said(budget.POLICY, preview, case="steady") == []
    assert len(said(budget.POLICY, preview, case="ceiling", monthlyUsd=90_000)) == 1


def test_a_stack_without_any_budget_is_not_judged_and_nodes_without_a_price_are_said() -> None:
    assert said(budget.POLICY, plan("global")) == []
    (violation,) = policy.check(plan("tencent-ap-guangzhou"), dict.fromkeys(CUT, "disabled"), today=TODAY)
    assert (violation.policy, violation.mandatory) == ("not-judged", False)
    assert violation.message.startswith("monthly-budget: 64.97 USD a month")
    assert "Tencent states prices of GPU machines to an account only" in violation.message


GROUP, SET = "aws:autoscaling/group:Group", "azure-native:compute:VirtualMachineScaleSet"
MANAGER = "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"


@pytest.mark.parametrize(
    ("name", "type_"), [("aws-us-east-1", GROUP), ("azure-eastus", SET), ("gcp-us-central1", MANAGER)]
)
def test_a_spot_pool_needs_an_on_demand_pool_and_may_be_missing_itself(name: str, type_: str) -> None:
    assert said(fallback.POLICY, plan(name)) == []
    assert said(fallback.POLICY, plan(name, without(type_, "on-demand"))) == [
        "a spot pool without an on-demand pool: when spot goes, nothing serves"
    ]
    assert said(fallback.POLICY, plan(name, without(type_, "spot"))) == []


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("aws-us-east-1", without(fallback.SCALING), "no scaling policy adds on-demand nodes when spot is missing"),
        ("aws-us-east-1", without(fallback.ALARM), "no alarm calls it"),
        (
            "aws-us-east-1",
            setting("", fallback.ALARM, "actionsEnabled", value=False),
            "no alarm calls it, or the alarm's actions are off",
        ),
        (
            "aws-us-east-1",
            setting("on-demand", GROUP, "maxSize", value=1),
            "takes at most 1 nodes in place of 2 on spot: allowed are 2 or more",
        ),
        ("azure-eastus", without(fallback.APP), "no fallback function"),
        (
            "azure-eastus",
            setting("", fallback.APP, "siteConfig", "appSettings", "SPILLWAY_DRY_RUN", value="true"),
            "SPILLWAY_DRY_RUN = true: it tells what it would do, and buys no on-demand node",
        ),
        (
            "azure-eastus",
            setting("", fallback.APP, "siteConfig", "appSettings", "SPILLWAY_ON_DEMAND_GROUP", value="other"),
            "SPILLWAY_ON_DEMAND_GROUP = other: allowed is the pool's group, spillway-azure-eastus-on-demand",
        ),
        ("azure-eastus", setting("", fallback.APP, "enabled", value=False), "enabled = false"),
        ("gcp-us-central1", without(fallback.FUNCTION), "no fallback function"),
        ("gcp-us-central1", without(fallback.JOB), "no timer calls the fallback function"),
        ("gcp-us-central1", setting("", fallback.JOB, "paused", value=True), "no timer calls the fallback function"),
        ("gcp-us-central1", setting("", fallback.JOB, "schedule", value="0 * * * *"), "schedule = 0 * * * *: allowed"),
    ],
)
def test_a_fallback_that_does_not_act_is_told(name: str, edit: Edit, words: str) -> None:
    (message,) = said(fallback.POLICY, plan(name, edit))
    assert message.startswith(words)


def test_a_function_of_google_cloud_that_only_tells_is_told() -> None:
    def telling(one: Resource) -> Resource:
        if one.type != fallback.FUNCTION:
            return one
        path = ("serviceConfig", "environmentVariables")
        settings = {**one.inputs[path[0]][path[1]], "SPILLWAY_DRY_RUN": "true"}
        return replace(one, inputs=_set(one.inputs, path, settings))

    assert said(fallback.POLICY, plan("gcp-us-central1", telling)) == [
        "SPILLWAY_DRY_RUN = true: it tells what it would do, and buys no on-demand node"
    ]


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("global", setting("", failover.RECORD, "ttl", value=60)),
        ("global", setting("", failover.HEALTH_CHECK, "requestInterval", value=30)),
        ("global-cloudflare", setting("", failover.MONITOR, "consecutiveDown", value=10)),
        ("global-cloudflare", setting("", failover.MONITOR, "interval", value=60)),
        ("global-traffic-manager", setting("", failover.PROFILE, "dnsConfig", "ttl", value=300)),
        ("global-traffic-manager", setting("", failover.PROFILE, "monitorConfig", "intervalInSeconds", value=30)),
    ],
)
def test_settings_that_move_clients_too_late_are_told(name: str, edit: Edit) -> None:
    assert said(failover.POLICY, plan(name)) == []
    found = said(failover.POLICY, plan(name, edit))
    assert found
    assert all(one.startswith("clients leave too late: ") and one.endswith("allowed are 60 s") for one in found)


@pytest.mark.parametrize("name", GLOBALS)
def test_another_objective_may_be_told(name: str) -> None:
    assert said(failover.POLICY, plan(name), objectiveSeconds=1)
    assert said(failover.POLICY, plan(name), objectiveSeconds=600) == []


def test_a_stack_without_dns_has_no_objective() -> None:
    assert said(failover.POLICY, plan("aws-us-east-1"), objectiveSeconds=1) == []


@pytest.mark.parametrize(
    ("name", "code", "needed", "words"),
    [
        ("aws-us-east-1", "L-417A185B", 1152, "6 x p5.48xlarge on demand: 1152 of quota L-417A185B"),
        ("aws-us-east-1", "L-7212CCBC", 192, "2 x p4d.24xlarge on spot: 192 of quota L-7212CCBC"),
        ("azure-eastus", "standardNDASv4_A100Family", 576, "6 x Standard_ND96asr_v4 on demand: 576 of quota"),
        ("azure-eastus", "lowPriorityCores", 192, "2 x Standard_ND96asr_v4 on spot: 192 of quota"),
        ("gcp-us-central1", "NVIDIA_A100_GPUS", 48, "6 x a2-highgpu-8g on demand: 48 of quota NVIDIA_A100_GPUS"),
    ],
)
def test_pools_at_their_most_fit_into_the_quota_with_headroom(name: str, code: str, needed: int, words: str) -> None:
    preview = plan(name)
    assert said(quotas.POLICY, preview, quotas={code: needed}) == []
    (message,) = said(quotas.POLICY, preview, quotas={code: needed - 1})
    assert message.startswith(words)
    assert message.endswith(f"allowed are {needed - 1}")
    (message,) = said(quotas.POLICY, preview, quotas={code: needed, "L-0263D0A3": 10}, headroomPercent=10)
    assert message.endswith(f"allowed are {needed} less 10 %")


def test_elastic_ips_are_held_to_what_an_account_has_by_default() -> None:
    preview = plan("aws-us-east-1")
    assert said(quotas.POLICY, preview) == []
    assert said(quotas.POLICY, preview, quotas={"L-0263D0A3": 4}) == [
        "5 Elastic IPs: 5 of quota L-0263D0A3; allowed are 4"
    ]
    assert said(quotas.POLICY, preview, headroomPercent=20) == [
        "5 Elastic IPs: 5 of quota L-0263D0A3; allowed are 5 less 20 %"
    ]
