"""Health checks of Route 53."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import AWS
from sandbox.aws import route53_limits as limits
from sandbox.aws.cloudwatch import ALARM
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.aws_region import check_faults, refused
from tests.support.memory_cloud import MemoryCloud
from tests.support.route53 import CHECK

TCP: dict[str, Any] = {"type": "TCP", "ipAddress": "203.0.113.7", "port": 443, "requestInterval": 30}
MATCH: dict[str, Any] = {**CHECK, "type": "HTTPS_STR_MATCH", "searchString": "ready"}
PARENT: dict[str, Any] = {"type": "CALCULATED", "childHealthThreshold": 1, "childHealthchecks": ["a"]}
OF_ALARM: dict[str, Any] = {
    "type": "CLOUDWATCH_METRIC",
    "cloudwatchAlarmName": "slow",
    "cloudwatchAlarmRegion": "eu-west-1",
}
CONTROL = "arn:aws:route53-recovery-control::123456789012:controlpanel/0123/routingcontrol/4567"
RECOVERY: dict[str, Any] = {"type": "RECOVERY_CONTROL", "routingControlArn": CONTROL}
SLOW: dict[str, Any] = {
    "name": "slow",
    "metricName": "TtftP50",
    "namespace": "Spillway",
    "period": 60,
    "statistic": "Average",
    "comparisonOperator": "GreaterThanThreshold",
    "evaluationPeriods": 2,
    "threshold": 2,
}


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (CHECK, {"type": "ICMP"}, "type: expected one of HTTP, HTTPS"),
        (CHECK, {"type": "https"}, "type: expected one of"),
        (CHECK, {"requestInterval": 17}, "requestInterval: expected one of 10, 30"),
        (CHECK, {"requestInterval": None}, "requestInterval: is required"),
        (CHECK, {"failureThreshold": 0}, "failureThreshold: expected 1 to 10"),
        (CHECK, {"failureThreshold": 11}, "failureThreshold: expected 1 to 10"),
        (CHECK, {"ipAddress": "llm.example.com"}, "ipAddress: expected an IPv4 or IPv6 address"),
        (CHECK, {"ipAddress": "10.0.0.7"}, "ipAddress: expected a public address"),
        (CHECK, {"ipAddress": "127.0.0.1"}, "ipAddress: expected a public address"),
        (CHECK, {"ipAddress": "100.64.1.1"}, "ipAddress: expected a public address"),
        (CHECK, {"ipAddress": "239.1.1.1"}, "ipAddress: expected a public address"),
        (CHECK, {"ipAddress": "fd00::7"}, "ipAddress: expected a public address"),
        (CHECK, {"ipAddress": None, "fqdn": None}, "ipAddress: one of ipAddress, fqdn"),
        (CHECK, {"fqdn": "not a host"}, "fqdn: expected a domain name"),
        (CHECK, {"port": 0}, "port: expected 1 to 65,535"),
        (CHECK, {"port": 65536}, "port: expected 1 to 65,535"),
        (CHECK, {"resourcePath": "readyz"}, "resourcePath: expected a path that begins with a slash"),
        (CHECK, {"resourcePath": "/" + "x" * 255}, "resourcePath: expected a length of 0 to 255"),
        (CHECK, {"searchString": "ready"}, "searchString: is only for health checks of type HTTP_STR_MATCH"),
        (MATCH, {"searchString": None}, "searchString: is required"),
        (MATCH, {"searchString": "x" * 256}, "searchString: expected a length of 1 to 255"),
        (CHECK, {"type": "HTTP", "enableSni": True}, "enableSni: is only for health checks of type HTTPS"),
        (CHECK, {"regions": ["us-east-1", "eu-west-1"]}, "regions: expected at least 3 regions, got 2"),
        (CHECK, {"regions": []}, "regions: expected at least 3 regions, got 0"),
        (CHECK, {"regions": ["us-east-1", "eu-west-1", "eu-central-1"]}, "regions[2]: expected one of us-east-1"),
        (CHECK, {"regions": ["us-east-1", "eu-west-1", "us-east-1"]}, "regions: us-east-1 is given twice"),
        (CHECK, {"referenceName": "x" * 28}, "referenceName: expected a length of 0 to 27"),
        (CHECK, {"childHealthThreshold": 1}, "childHealthThreshold: is only for health checks of type CALCULATED"),
        (CHECK, {"cloudwatchAlarmName": "slow"}, "cloudwatchAlarmName: is only for health checks of type CLOUDWATCH"),
        (CHECK, {"insufficientDataHealthStatus": "Healthy"}, "insufficientDataHealthStatus: is only for"),
        (CHECK, {"routingControlArn": CONTROL}, "routingControlArn: is only for"),
        (CHECK, {"tags": {"aws:x": "y"}}, "tags: tag keys that begin with aws:"),
        (TCP, {"port": None}, "port: is required for health checks of type TCP"),
        (TCP, {"resourcePath": "/"}, "resourcePath: is only for health checks that send an HTTP request"),
        (TCP, {"fqdn": "llm.example.com"}, "fqdn: conflicts with ipAddress in health checks of type TCP"),
        (PARENT, {"childHealthThreshold": None}, "childHealthThreshold: is required"),
        (PARENT, {"childHealthThreshold": 257}, "childHealthThreshold: expected 0 to 256"),
        (
            PARENT,
            {"childHealthchecks": [str(i) for i in range(256)]},
            "childHealthchecks: expected a length of 0 to 255",
        ),
        (PARENT, {"requestInterval": 10}, "requestInterval: is not supported by health checks of type CALCULATED"),
        (PARENT, {"ipAddress": "203.0.113.7"}, "ipAddress: is not supported by health checks of type CALCULATED"),
        (PARENT, {"regions": ["us-east-1", "eu-west-1", "sa-east-1"]}, "regions: is not supported by"),
        (OF_ALARM, {"cloudwatchAlarmRegion": None}, "cloudwatchAlarmRegion: is required"),
        (OF_ALARM, {"cloudwatchAlarmRegion": "westeurope"}, "cloudwatchAlarmRegion: expected one of us-east-1"),
        (OF_ALARM, {"insufficientDataHealthStatus": "OK"}, "insufficientDataHealthStatus: expected one of Healthy"),
        (OF_ALARM, {"port": 443}, "port: is not supported by health checks of type CLOUDWATCH_METRIC"),
        (RECOVERY, {"routingControlArn": None}, "routingControlArn: is required"),
        (RECOVERY, {"failureThreshold": 2}, "failureThreshold: is not supported by health checks of type RECOVERY"),
    ],
)
def test_a_faulty_check_is_told(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(limits.HEALTH_CHECK, good, change, expected)


@pytest.mark.parametrize(
    "inputs",
    [
        {**CHECK, "ipAddress": UNKNOWN, "fqdn": UNKNOWN, "type": UNKNOWN},
        {**CHECK, "ipAddress": UNKNOWN},
        {**CHECK, "regions": [UNKNOWN, "us-east-1"]},
        {**PARENT, "childHealthchecks": [UNKNOWN, UNKNOWN]},
        {**PARENT, "childHealthchecks": UNKNOWN, "childHealthThreshold": UNKNOWN},
        {**OF_ALARM, "cloudwatchAlarmName": UNKNOWN},
    ],
)
def test_what_is_not_known_yet_is_no_fault(inputs: dict[str, Any]) -> None:
    assert list(AWS.kinds[limits.HEALTH_CHECK].check(Args(inputs))) == []


def test_a_check_gets_what_the_service_fills_in(cloud: MemoryCloud) -> None:
    plain = cloud.create(limits.HEALTH_CHECK, type="HTTPS", fqdn="llm.example.com", requestInterval=30)
    assert (plain["failureThreshold"], plain["port"], plain["enableSni"]) == (3, 443, True)
    assert plain["arn"] == f"arn:aws:route53:::healthcheck/{plain.id}"
    assert cloud.create(limits.HEALTH_CHECK, **{**TCP, "port": 22})["enableSni"] is False


def test_a_parent_counts_children_that_exist_and_keeps_them(cloud: MemoryCloud) -> None:
    with refused("InvalidInput", "does not exist"):
        cloud.create(limits.HEALTH_CHECK, **PARENT)
    child = cloud.create(limits.HEALTH_CHECK, **CHECK)
    parent = cloud.create(limits.HEALTH_CHECK, **{**PARENT, "childHealthchecks": [child.id]})
    with refused("HealthCheckInUse"):
        cloud.delete(child)
    with refused("InvalidInput", "a child of itself"):
        cloud.update(parent, childHealthchecks=[child.id, parent.id])
    cloud.delete(parent)
    cloud.delete(child)


def test_a_parent_may_wait_for_more_children_than_it_has_or_for_none(cloud: MemoryCloud) -> None:
    cloud.create(limits.HEALTH_CHECK, type="CALCULATED", childHealthThreshold=0)
    cloud.create(limits.HEALTH_CHECK, type="CALCULATED", childHealthThreshold=5)


@pytest.mark.parametrize(
    ("alarm", "text"),
    [
        ({"statistic": None, "extendedStatistic": "p95"}, "uses an extended statistic"),
        ({"period": 10}, "is of high resolution (10 s)"),
        (
            {
                **dict.fromkeys(("metricName", "namespace", "period", "statistic")),
                "metricQueries": [
                    {
                        "id": "m1",
                        "metric": {"metricName": "a", "namespace": "b", "period": 60, "stat": "Sum"},
                        "returnData": False,
                    },
                    {"id": "e1", "expression": "m1 * 2", "label": "twice", "returnData": True},
                ],
            },
            "uses metric math",
        ),
    ],
)
def test_an_alarm_that_a_check_cannot_follow_is_refused(cloud: MemoryCloud, alarm: dict[str, Any], text: str) -> None:
    there = cloud.in_region("eu-west-1")
    there.create(ALARM, **{k: v for k, v in {**SLOW, **alarm}.items() if v is not None})
    with refused("InvalidInput", text):
        cloud.create(limits.HEALTH_CHECK, **OF_ALARM)


def test_an_alarm_has_to_exist_in_the_region_that_the_check_names(cloud: MemoryCloud) -> None:
    cloud.create(ALARM, **SLOW)
    with refused("InvalidInput", "The CloudWatch alarm slow was not found in eu-west-1."):
        cloud.create(limits.HEALTH_CHECK, **OF_ALARM)
    cloud.create(limits.HEALTH_CHECK, **{**OF_ALARM, "cloudwatchAlarmRegion": "us-east-1"})


def test_an_account_has_so_many_checks(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-ACB674F3", 1)
    cloud.create(limits.HEALTH_CHECK, **CHECK)
    with refused("TooManyHealthChecks", "limit of 1 active"):
        cloud.create(limits.HEALTH_CHECK, **CHECK)


def test_a_routing_control_check_is_not_updated(cloud: MemoryCloud) -> None:
    check = cloud.create(limits.HEALTH_CHECK, **RECOVERY)
    cloud.update(check, tags={"a": "b"})
    with refused("InvalidInput", "Update is not supported"):
        cloud.update(check, invertHealthcheck=True)


def test_two_spellings_of_an_address_are_no_change() -> None:
    kind = AWS.kinds[limits.HEALTH_CHECK]
    long, short = {"ipAddress": "2600:0:0:0::1"}, {"ipAddress": "2600::1"}
    assert kind.comparable(long) == kind.comparable(short)
    assert set(kind.replace_on) >= {"type", "requestInterval", "measureLatency", "referenceName"}
