"""Traffic policies of Route 53."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sandbox.aws import route53_limits as limits
from sandbox.aws.route53_traffic import document_faults
from tests.support.aws_region import refused
from tests.support.route53 import Dns, dns

GOOD: dict[str, Any] = {
    "AWSPolicyFormatVersion": "2015-10-01",
    "RecordType": "A",
    "StartRule": "first",
    "Endpoints": {"aws": {"Type": "value", "Value": "203.0.113.1"}, "home": {"Type": "value", "Value": "203.0.113.2"}},
    "Rules": {
        "first": {
            "RuleType": "failover",
            "Primary": {"RuleReference": "near"},
            "Secondary": {"EndpointReference": "home"},
        },
        "near": {"RuleType": "latency", "Regions": [{"Region": "eu-west-1", "EndpointReference": "aws"}]},
    },
}


@pytest.fixture
def home() -> Dns:
    return dns()


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    *above, last = path.split("/")
    place: Any = document
    for step in above:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("AWSPolicyFormatVersion", "2012-10-17", "AWSPolicyFormatVersion: expected one of 2015-10-01"),
        ("RecordType", "NS", "RecordType: expected one of A"),
        ("StartEndpoint", "aws", "one of StartEndpoint, StartRule"),
        ("StartRule", "last", 'StartRule: "last" is not defined'),
        ("Endpoints/aws/Value", "llm", "Endpoints.aws.Value: expected an IPv4 address"),
        ("Endpoints/aws/Type", "vm", "Endpoints.aws.Type: expected one of value"),
        ("Rules/near/RuleType", "nearest", "Rules.near.RuleType: expected one of failover"),
        ("Rules/near/Regions", [], "Rules.near.Regions: is required"),
        ("Rules/near/Regions/0/Region", "westeurope", "Rules.near.Regions[0].Region: expected an AWS region"),
        ("Rules/near/Regions/0/EndpointReference", "x", 'Rules.near.Regions[0].EndpointReference: "x" is not defined'),
        ("Rules/first/Secondary", {}, "Rules.first.Secondary: is required"),
        ("Rules/near/Regions/0", {"Region": "eu-west-1", "RuleReference": "first"}, "leads back to itself"),
    ],
)
def test_a_faulty_document_is_told(path: str, value: Any, expected: str) -> None:
    assert list(document_faults(json.dumps(GOOD))) == []
    assert any(expected in line for line in document_faults(json.dumps(changed(path, value))))


def test_a_document_has_to_be_one() -> None:
    assert "expected a JSON document" in next(document_faults("{"))
    assert "expected a JSON object" in next(document_faults("[]"))


def test_a_policy_answers_for_names_of_a_zone(home: Dns) -> None:
    cloud = home.cloud
    policy = cloud.create(limits.TRAFFIC_POLICY, name="tree", document=json.dumps(GOOD))
    assert (policy["type"], policy["version"]) == ("A", 1)
    with refused("TrafficPolicyAlreadyExists"):
        cloud.create(limits.TRAFFIC_POLICY, name="tree", document=json.dumps(GOOD))
    wanted = {"hostedZoneId": home.zone.id, "trafficPolicyId": policy.id, "trafficPolicyVersion": 1, "ttl": 10}
    cloud.create(limits.TRAFFIC_POLICY_INSTANCE, **wanted, name="llm.example.com")
    with refused("TrafficPolicyInstanceAlreadyExists"):
        cloud.create(limits.TRAFFIC_POLICY_INSTANCE, **wanted, name="llm")
    with refused("NoSuchTrafficPolicy"):
        cloud.create(limits.TRAFFIC_POLICY_INSTANCE, **{**wanted, "trafficPolicyVersion": 2}, name="api")
    with refused("TrafficPolicyInUse"):
        cloud.delete(policy)


def test_a_policy_names_health_checks_that_exist(home: Dns) -> None:
    document = changed("Rules/near/Regions/0/HealthCheck", "01234567-89ab-cdef-0123-456789abcdef")
    with refused("InvalidTrafficPolicyDocument"):
        home.cloud.create(limits.TRAFFIC_POLICY, name="tree", document=json.dumps(document))
    document = changed("Rules/near/Regions/0/HealthCheck", home.check().id)
    home.cloud.create(limits.TRAFFIC_POLICY, name="tree", document=json.dumps(document))
