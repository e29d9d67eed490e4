"""What nodes are held to: encryption, metadata, no public address, protection, tags; on every cloud."""

from __future__ import annotations

from typing import Any

import pytest

from policy import reflect
from policy.rules import encryption, exposure, metadata, protection, tags
from tests.policy.resources import STACK, TAGS, UNKNOWN, left_open, resource, said

TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:autoscaling/group:Group"
SET = "azure-native:compute:VirtualMachineScaleSet"
GCP_TEMPLATE = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"
SCALING_CONFIG = "tencentcloud:As/scalingConfig:ScalingConfig"


def template(encrypted: Any = "true", **more: Any) -> dict[str, Any]:
    disk = {"deviceName": "/dev/sda1", "ebs": {"encrypted": encrypted, **more}}
    return {"blockDeviceMappings": [disk, {"deviceName": "/dev/sdb", "virtualName": "ephemeral0"}]}


@pytest.mark.parametrize("encrypted", ["true", True])
def test_volumes_that_say_they_are_encrypted_pass_in_both_spellings(encrypted: Any) -> None:
    assert said(encryption.POLICY, resource(TEMPLATE, template(encrypted))) == []


@pytest.mark.parametrize(("encrypted", "shown"), [("false", "false"), (False, "false"), (None, "nothing")])
def test_volumes_that_do_not_say_so_are_told_by_device(encrypted: Any, shown: str) -> None:
    assert said(encryption.POLICY, resource(TEMPLATE, template(encrypted))) == [
        f"volume /dev/sda1: encrypted = {shown}: allowed is true"
    ]


def test_a_volume_whose_encryption_is_not_known_yet_is_left_open() -> None:
    one = resource(TEMPLATE, template(UNKNOWN))
    assert said(encryption.POLICY, one) == []
    assert left_open(encryption.POLICY, one) == ["volume /dev/sda1: encrypted is known only after the deployment"]


@pytest.mark.parametrize(
    ("type_", "plain", "keyed"),
    [
        (TEMPLATE, template(), template(kmsKeyId=UNKNOWN)),
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]},
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]},
        ),
        ("aws:secretsmanager/secret:Secret", {}, {"kmsKeyId": "alias/own"}),
        ("aws:sqs/queue:Queue", {}, {"kmsMasterKeyId": "alias/own"}),
        (
            SET,
            {"virtualMachineProfile": {"storageProfile": {"osDisk": {"managedDisk": {}}}}},
            {"virtualMachineProfile": {"storageProfile": {"osDisk": {"managedDisk": {"diskEncryptionSet": UNKNOWN}}}}},
        ),
        (
            "azure-native:storage:StorageAccount",
            {},
            {"encryption": {"keyVaultProperties": {"keyName": "own"}}},
        ),
        (
            GCP_TEMPLATE,
            {"disks": [{"type": "PERSISTENT"}, {"type": "SCRATCH"}]},
            {"disks": [{"type": "PERSISTENT", "diskEncryptionKey": {"kmsKeySelfLink": "x"}}, {"type": "SCRATCH"}]},
        ),
        ("gcp:storage/bucket:Bucket", {}, {"encryption": {"defaultKmsKeyName": "x"}}),
        ("tencentcloud:Cos/bucket:Bucket", {"encryptionAlgorithm": "AES256"}, {"encryptionAlgorithm": "KMS"}),
    ],
)
def test_keys_of_ones_own_are_asked_for_only_where_the_stack_says_so(
    type_: str, plain: dict[str, Any], keyed: dict[str, Any]
) -> None:
    assert said(encryption.POLICY, resource(type_, plain)) == []
    assert len(said(encryption.POLICY, resource(type_, plain), customerKeys=True)) == 1
    assert said(encryption.POLICY, resource(type_, keyed), customerKeys=True) == []


def test_what_is_switched_off_is_told() -> None:
    bucket = resource("tencentcloud:Cos/bucket:Bucket", {})
    queue = resource("aws:sqs/queue:Queue", {"sqsManagedSseEnabled": False})
    volume = resource("aws:ebs/volume:Volume", {"encrypted": False})
    assert said(encryption.POLICY, bucket, queue, volume) == [
        "encryptionAlgorithm = nothing: allowed is AES256 or KMS or cos/kms",
        "sqsManagedSseEnabled = false: allowed is true, or a kmsMasterKeyId",
        "encrypted = false: allowed is true",
    ]
    assert said(encryption.POLICY, resource(SET, {}), atHost=True) == [
        "virtualMachineProfile.securityProfile.encryptionAtHost: allowed is true"
    ]


def test_metadata_needs_a_session_token_and_stays_on_the_node() -> None:
    options = {"httpTokens": "required", "httpPutResponseHopLimit": 1}
    assert said(metadata.POLICY, resource(TEMPLATE, {"metadataOptions": options})) == []
    assert said(
        metadata.POLICY, resource(TEMPLATE, {"metadataOptions": {**options, "httpPutResponseHopLimit": 2}})
    ) == ["metadataOptions.httpPutResponseHopLimit = 2: allowed is 1"]
    two = resource(TEMPLATE, {"metadataOptions": {**options, "httpPutResponseHopLimit": 2}})
    assert said(metadata.POLICY, two, hopLimit=2) == []
    assert said(metadata.POLICY, resource("aws:ec2/instance:Instance", {})) == [
        "metadataOptions.httpTokens = nothing: allowed is required (IMDSv2)"
    ]
    assert said(metadata.POLICY, resource(TEMPLATE, {"metadataOptions": {"httpEndpoint": "disabled"}})) == []
    assert left_open(metadata.POLICY, resource(TEMPLATE, {"metadataOptions": {"httpTokens": UNKNOWN}}))


def card(**address: Any) -> dict[str, Any]:
    cards = [{"name": "nic", "ipConfigurations": [{"name": "ip", **address}]}]
    return {"virtualMachineProfile": {"networkProfile": {"networkInterfaceConfigurations": cards}}}


@pytest.mark.parametrize(
    ("type_", "private", "public"),
    [
        (TEMPLATE, {}, {"networkInterfaces": [{"associatePublicIpAddress": "true"}]}),
        (TEMPLATE, {}, {"networkInterfaces": [{"ipv6AddressCount": 1}]}),
        ("aws:ec2/subnet:Subnet", {"mapPublicIpOnLaunch": False}, {"mapPublicIpOnLaunch": True}),
        (SET, card(), card(publicIPAddressConfiguration={"name": "public"})),
        (SET, card(), card(publicIPAddressConfiguration=UNKNOWN)),
        (
            GCP_TEMPLATE,
            {"networkInterfaces": [{"subnetwork": UNKNOWN}]},
            {"networkInterfaces": [{"subnetwork": UNKNOWN, "accessConfigs": [{}]}]},
        ),
        (SCALING_CONFIG, {"publicIpAssigned": False, "internetMaxBandwidthOut": 0}, {"publicIpAssigned": True}),
        (SCALING_CONFIG, {}, {"internetMaxBandwidthOut": 10}),
    ],
)
def test_a_node_with_a_public_address_is_told(type_: str, private: dict[str, Any], public: dict[str, Any]) -> None:
    assert said(exposure.POLICY, resource(type_, private)) == []
    assert len(said(exposure.POLICY, resource(type_, public))) == 1


@pytest.mark.parametrize("type_", sorted(set(protection.STATEFUL) - {"azure-native:keyvault:Vault"}))
def test_whatever_holds_state_has_to_be_protected(type_: str) -> None:
    (message,) = said(protection.POLICY, resource(type_, {}))
    assert message == f"protect = false: allowed is true; with it go {protection.STATEFUL[type_]}"
    assert said(protection.POLICY, resource(type_, {}, protected=True)) == []


def test_stores_that_the_stack_fills_itself_and_vaults_that_can_be_taken_back_pass() -> None:
    bucket = "gcp:storage/bucket:Bucket"
    vault = "azure-native:keyvault:Vault"
    assert said(protection.POLICY, resource(bucket, {}, "gcp-us-central1-scaling-function")) == []
    assert said(protection.POLICY, resource(bucket, {}, "gcp-us-central1-scaling-function"), rebuilt=[])
    assert said(protection.POLICY, resource(vault, {"properties": {"softDeleteRetentionInDays": 7}})) == []
    assert said(protection.POLICY, resource(vault, {"properties": {"enableSoftDelete": False}}))


def test_a_protected_bucket_that_may_be_emptied_is_told_and_more_types_may_be_named() -> None:
    bucket = resource("aws:s3/bucket:Bucket", {"forceDestroy": True}, protected=True)
    assert said(protection.POLICY, bucket) == ["forceDestroy = true: allowed is false; with it go objects"]
    topic = resource("aws:sns/topic:Topic", {})
    assert said(protection.POLICY, topic) == []
    assert said(protection.POLICY, topic, types=[topic.type])


def test_tags_are_asked_for_under_each_cloud_s_own_name_and_spelling() -> None:
    colons = {key.replace("spillway-", "spillway:"): value for key, value in TAGS.items()}
    assert said(tags.POLICY, resource("aws:ec2/vpc:Vpc", {"tags": colons})) == []
    assert said(tags.POLICY, resource("gcp:storage/bucket:Bucket", {"labels": TAGS})) == []
    assert said(tags.POLICY, resource("gcp:monitoring/alertPolicy:AlertPolicy", {"userLabels": TAGS})) == []
    assert said(tags.POLICY, resource("gcp:storage/bucket:Bucket", {"tags": TAGS})) == [
        "labels: spillway-stack, spillway-component and spillway-managed-by missing"
    ]
    assert said(tags.POLICY, resource("aws:ec2/route:Route", {})) == []  # takes none
    assert said(tags.POLICY, resource("aws:ec2/vpc:Vpc", {"tags": colons}), keys=["owner"]) == ["tags: owner missing"]
    assert said(tags.POLICY, resource("aws:ec2/vpc:Vpc", {}), exceptTypes=["aws:ec2/vpc:Vpc"]) == []


def test_tags_of_another_stack_are_told() -> None:
    one = resource("aws:ec2/vpc:Vpc", {"tags": {**TAGS, "spillway-stack": "aws-us-west-2"}})
    assert said(tags.POLICY, one) == [f"tags: spillway:stack = aws-us-west-2: allowed is the stack's own name, {STACK}"]


def test_tags_have_to_reach_instances_and_volumes() -> None:
    kept = [{"key": key, "value": value, "propagateAtLaunch": False} for key, value in TAGS.items()]
    assert said(tags.POLICY, resource(GROUP, {"tags": kept})) == [
        "tags: spillway-stack, spillway-component and spillway-managed-by not on the instances:"
        " propagateAtLaunch = false"
    ]
    reaching = [{**one, "propagateAtLaunch": True} for one in kept]
    assert said(tags.POLICY, resource(GROUP, {"tags": reaching})) == []
    specifications = [{"resourceType": "instance", "tags": TAGS}]
    assert said(tags.POLICY, resource(TEMPLATE, {"tags": TAGS, "tagSpecifications": specifications})) == [
        "tagSpecifications: spillway-stack, spillway-component and spillway-managed-by missing for each volume"
    ]


def test_the_table_of_what_takes_tags_is_what_the_sdks_say() -> None:
    said_by_sdks = {type_: key for key, types in reflect.table().items() for type_ in types}
    assert tags.taggable() == said_by_sdks, "python -m policy.reflect writes it anew"
