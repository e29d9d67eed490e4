"""The rest of Route 53: data sources, associations, query logs, DNSSEC, CIDR locations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws import AWS, tokens
from sandbox.aws import route53_limits as limits
from sandbox.aws.kms import KEY
from sandbox.aws.logs import GROUP
from sandbox.kinds import Args, CloudError, Resource
from tests.support.aws_region import check_faults, refused
from tests.support.memory_cloud import MemoryCloud
from tests.support.route53 import Dns, dns, latency, weighted

KMS = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
SIGNER: dict[str, Any] = {"hostedZoneId": "Z1", "name": "key_1", "keyManagementServiceArn": KMS}
LOCATION: dict[str, Any] = {"cidrCollectionId": "c", "name": "eu", "cidrBlocks": ["198.51.100.0/24"]}


@pytest.fixture
def home() -> Dns:
    return dns()


def ask(cloud: MemoryCloud, invoke: str, /, **args: Any) -> dict[str, Any]:
    return AWS.invokes[f"aws:route53/{invoke}:{invoke}"](Args(args), cloud)


def signing_key(cloud: MemoryCloud, **more: Any) -> Resource:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Effect": "Allow",
                "Principal": {"Service": "dnssec-route53.amazonaws.com"},
                "Action": ["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign"],
                "Resource": "*",
            },
        ],
    }
    inputs = {"customerMasterKeySpec": "ECC_NIST_P256", "keyUsage": "SIGN_VERIFY", "policy": json.dumps(policy)}
    return cloud.create(KEY, **{**inputs, **more})


def private_zone(cloud: MemoryCloud) -> tuple[Resource, list[str]]:
    vpcs = [cloud.create(tokens.VPC, cidrBlock=f"10.{i}.0.0/16").id for i in range(2)]
    return cloud.create(limits.ZONE, name="corp", vpcs=[{"vpcId": vpcs[0]}]), vpcs


def test_a_zone_is_found_by_name_and_by_id(home: Dns) -> None:
    home.record("llm")
    found = ask(home.cloud, "getZone", name="Example.com.")
    assert found["id"] == home.zone.id
    assert found["resourceRecordSetCount"] == 3
    assert found["nameServers"] == home.zone["nameServers"]
    assert ask(home.cloud, "getZone", zoneId=f"/hostedzone/{home.zone.id}") == {**found}
    assert ask(home.cloud, "getZones")["ids"] == [home.zone.id]


def test_a_zone_that_is_not_one_is_an_error_in_the_providers_words(home: Dns) -> None:
    with pytest.raises(CloudError, match="no matching Route 53 Hosted Zone found"):
        ask(home.cloud, "getZone", name="example.net")
    with pytest.raises(CloudError, match="NoSuchHostedZone"):
        ask(home.cloud, "getZone", zoneId="Z0")
    dns(home.cloud)
    with pytest.raises(CloudError, match="multiple Route 53 Hosted Zones matched"):
        ask(home.cloud, "getZone", name="example.com")


def test_a_private_zone_is_found_only_when_asked_for(home: Dns) -> None:
    zone, vpcs = private_zone(home.cloud)
    with pytest.raises(CloudError, match="no matching"):
        ask(home.cloud, "getZone", name="corp")
    assert ask(home.cloud, "getZone", name="corp", privateZone=True)["id"] == zone.id
    assert ask(home.cloud, "getZone", vpcId=vpcs[0])["id"] == zone.id


def test_records_are_told_in_the_apis_words_and_order(home: Dns) -> None:
    home.record("*.llm", **weighted("a", 7))
    home.record("note", type="TXT", records=["hello"], **latency("eu", "eu-west-1"))
    home.alias("www", "\\052.llm.example.com")
    found = ask(home.cloud, "getRecords", zoneId=home.zone.id)["resourceRecordSets"]
    assert [(r["name"], r["type"]) for r in found] == [
        ("example.com.", "NS"),
        ("example.com.", "SOA"),
        ("\\052.llm.example.com.", "A"),
        ("note.example.com.", "TXT"),
        ("www.example.com.", "A"),
    ]
    assert (found[2]["weight"], found[2]["ttl"]) == (7, 10)
    assert (found[3]["region"], found[3]["resourceRecords"]) == ("eu-west-1", [{"value": '"hello"'}])
    assert found[4]["aliasTarget"]["dnsName"] == "\\052.llm.example.com."
    some = ask(home.cloud, "getRecords", zoneId=home.zone.id, nameRegex=r"^note\.")["resourceRecordSets"]
    assert [r["type"] for r in some] == ["TXT"]


def test_a_delegation_set_is_found_by_id(home: Dns) -> None:
    shared = home.cloud.create(limits.DELEGATION_SET)
    assert ask(home.cloud, "getDelegationSet", id=shared.id)["nameServers"] == shared["nameServers"]
    with pytest.raises(CloudError, match="NoSuchDelegationSet"):
        ask(home.cloud, "getDelegationSet", id="N0")


def test_a_vpc_is_associated_with_a_private_zone_once(home: Dns) -> None:
    cloud = home.cloud
    zone, vpcs = private_zone(cloud)
    with refused("PublicZoneVPCAssociation"):
        cloud.create(limits.ZONE_ASSOCIATION, zoneId=home.zone.id, vpcId=vpcs[1])
    with refused("ConflictingDomainExists"):
        cloud.create(limits.ZONE_ASSOCIATION, zoneId=zone.id, vpcId=vpcs[0])
    made = cloud.create(limits.ZONE_ASSOCIATION, zoneId=zone.id, vpcId=vpcs[1])
    assert made.id == f"{zone.id}:{vpcs[1]}:us-east-1"
    with refused("InvalidVPCId"):
        cloud.create(limits.ZONE_ASSOCIATION, zoneId=zone.id, vpcId=vpcs[1], vpcRegion="eu-west-1")
    with refused("ConflictingDomainExists"):
        cloud.create(limits.ZONE, name="corp", vpcs=[{"vpcId": vpcs[1]}])
    foreign = cloud.create(limits.VPC_AUTHORIZATION, zoneId=zone.id, vpcId="vpc-0fedcba9876543210")
    assert foreign.id == f"{zone.id}:vpc-0fedcba9876543210"


def test_queries_are_logged_in_us_east_1(home: Dns) -> None:
    check_faults(
        limits.QUERY_LOG,
        {"zoneId": "Z1", "cloudwatchLogGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/dns"},
        {"cloudwatchLogGroupArn": "arn:aws:logs:eu-west-1:123456789012:log-group:/dns"},
        "cloudwatchLogGroupArn: expected the ARN of a log group in us-east-1",
    )
    wanted = {"zoneId": home.zone.id, "cloudwatchLogGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:/dns"}
    with refused("NoSuchCloudWatchLogsLogGroup"):
        home.cloud.create(limits.QUERY_LOG, **wanted)
    home.cloud.create(GROUP, name="/dns")
    made = home.cloud.create(limits.QUERY_LOG, **wanted)
    assert made["arn"] == f"arn:aws:route53:::queryloggingconfig/{made.id}"
    with refused("QueryLoggingConfigAlreadyExists"):
        home.cloud.create(limits.QUERY_LOG, **wanted)


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (limits.KEY_SIGNING_KEY, SIGNER, {"name": "key-1"}, "name: expected 3 to 128"),
        (limits.KEY_SIGNING_KEY, SIGNER, {"status": "ON"}, "status: expected one of ACTIVE"),
        (
            limits.KEY_SIGNING_KEY,
            SIGNER,
            {"keyManagementServiceArn": KMS.replace("us-east-1", "eu-west-1")},
            "keyManagementServiceArn: expected a key in us-east-1",
        ),
        (limits.DNSSEC, {"hostedZoneId": "Z1"}, {"signingStatus": "ON"}, "signingStatus: expected one of SIGNING"),
        (limits.CIDR_COLLECTION, {"name": "nets"}, {"name": "a b"}, "name: expected 1 to 64"),
        (limits.CIDR_LOCATION, LOCATION, {"name": "x" * 17}, "name: expected 1 to 16"),
        (limits.CIDR_LOCATION, LOCATION, {"cidrBlocks": []}, "cidrBlocks: expected a length of 1 to 1000"),
        (limits.CIDR_LOCATION, LOCATION, {"cidrBlocks": ["198.51.100.0/25"]}, "cidrBlocks[0]: expected a prefix"),
        (limits.CIDR_LOCATION, LOCATION, {"cidrBlocks": ["198.51.100.7/24"]}, "cidrBlocks[0]: expected a network"),
    ],
)
def test_a_faulty_input_is_told(token: str, good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(token, good, change, expected)


def test_a_zone_is_signed_with_a_key_made_for_it(home: Dns) -> None:
    cloud = home.cloud
    with refused("KeySigningKeyWithActiveStatusNotFound"):
        cloud.create(limits.DNSSEC, hostedZoneId=home.zone.id)
    plain = cloud.create(KEY)
    wanted = {"hostedZoneId": home.zone.id, "name": "key_1"}
    with refused("InvalidKMSArn", "DNSSEC needs ECC_NIST_P256"):
        cloud.create(limits.KEY_SIGNING_KEY, **wanted, keyManagementServiceArn=plain["arn"])
    key = signing_key(cloud)
    signer = cloud.create(limits.KEY_SIGNING_KEY, **wanted, keyManagementServiceArn=key["arn"])
    assert signer.id == f"{home.zone.id},key_1"
    assert signer["dsRecord"].startswith(f"{signer['keyTag']} 13 2 ")
    with refused("KeySigningKeyAlreadyExists"):
        cloud.create(limits.KEY_SIGNING_KEY, **wanted, keyManagementServiceArn=signing_key(cloud)["arn"])
    signed = cloud.create(limits.DNSSEC, hostedZoneId=home.zone.id)
    with refused("KeySigningKeyInUse"):
        cloud.delete(signer)
    with refused("HostedZoneNotEmpty"):
        cloud.delete(home.zone)
    cloud.delete(signed)
    cloud.delete(signer)
    cloud.delete(home.zone)


def test_networks_are_routed_by_a_location_that_exists(home: Dns) -> None:
    cloud = home.cloud
    nets = cloud.create(limits.CIDR_COLLECTION, name="nets")
    with refused("CidrCollectionAlreadyExistsException"):
        cloud.create(limits.CIDR_COLLECTION, name="nets")
    policy = {"setIdentifier": "eu", "cidrRoutingPolicy": {"collectionId": nets.id, "locationName": "eu"}}
    with refused("InvalidChangeBatch", "The CIDR location eu does not exist"):
        home.record("llm", **policy)
    place = cloud.create(limits.CIDR_LOCATION, **{**LOCATION, "cidrCollectionId": nets.id})
    assert place.id == f"{nets.id},eu"
    with refused("CidrBlockInUseException"):
        cloud.create(limits.CIDR_LOCATION, **{**LOCATION, "cidrCollectionId": nets.id, "name": "us"})
    record = home.record("llm", **policy)
    home.record("llm", setIdentifier="rest", cidrRoutingPolicy={"collectionId": nets.id, "locationName": "*"})
    with refused("CidrBlockInUseException"):
        cloud.delete(place)
    cloud.delete(record)
    cloud.delete(place)
    with refused("CidrCollectionInUseException"):
        cloud.delete(nets)
