"""The stand-in's account: before the first deployment, after it, and in bad weather."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.clouds import WEATHER
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.models.stores import open_store
from spillway.preflight.aws_region.stand_in import StandInAccount
from spillway.preflight.model import Row
from tests.support.aws_region import network
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import ACCOUNT, STACK, rows, states
from tests.unit.preflight.kept import keep
from tests.unit.stack_data import load

TAGS = {"spillway:stack": STACK}


def asked(directory: Path, changes: dict[str, Any] | None = None, account: str = ACCOUNT) -> dict[str, Row]:
    config = load(changes)
    return rows(StandInAccount(directory, config.region, account), config=config)  # type: ignore[arg-type]


def weather(directory: Path, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / WEATHER).write_text(text)


def deployed(directory: Path, stack: str = STACK, zones: str = "abcd") -> MemoryCloud:
    """The parts of a region that a preflight counts, each made by its own kind."""
    cloud = MemoryCloud()
    tags = {"spillway:stack": stack}
    net = network(cloud, zones=zones)
    cloud.update(net.vpc, tags=tags)
    cloud.update(net.gateway, tags=tags)
    addresses = [cloud.create(tokens.EIP, tags=tags) for _ in range(len(zones) + 1)]
    cloud.create(tokens.NAT_GATEWAY, allocationId=addresses[-1].id, subnetId=net.subnets[0].id, tags=tags)
    mappings = [
        {"subnetId": subnet.id, "allocationId": address.id}
        for subnet, address in zip(net.subnets, addresses, strict=False)
    ]
    cloud.create(
        tokens.LOAD_BALANCER,
        loadBalancerType="network",
        name=f"spillway-{stack}-lb",
        subnetMappings=mappings,
        tags=tags,
    )
    cloud.create(
        tokens.TARGET_GROUP, name=f"spillway-{stack}-tg", port=443, protocol="TCP", vpcId=net.vpc.id, tags=tags
    )
    for secret in ("certificate", "api-keys"):
        cloud.create("aws:secretsmanager/secret:Secret", name=f"spillway/{stack}/{secret}", tags=tags)
    cloud.create("aws:s3/bucket:Bucket", bucket=f"spillway-models-{ACCOUNT}-us-east-1", tags=tags)
    keep(directory, cloud)
    return cloud


def test_before_the_first_deployment_the_shipped_stack_is_ready_and_no_file_is_made(tmp_path: Path) -> None:
    found = asked(tmp_path / "sandbox")
    assert states(found) == {}
    assert set(states(found, "note")) == {"weights", "certificate", "api-keys"}
    assert not (tmp_path / "sandbox").exists()


def test_a_deployed_region_is_not_counted_twice_and_misses_only_its_contents(tmp_path: Path) -> None:
    deployed(tmp_path)
    found = asked(tmp_path)
    assert states(found) == {"weights": "warning", "certificate": "warning", "api-keys": "warning"}
    assert found["addresses"].found == "0 used by others, 5 by this stack, quota 5"
    assert found["balancers"].found == "0 used by others, 1 by this stack, quota 50"
    assert found["bucket"].found.endswith("this stack's")


def test_what_another_stack_holds_leaves_no_room_and_no_name(tmp_path: Path) -> None:
    deployed(tmp_path, stack="aws-eu-west-1")
    found = asked(tmp_path)
    assert found["addresses"].request is not None
    assert (found["addresses"].state, found["addresses"].request.value) == ("failure", 10)
    assert found["bucket"].found.endswith("yours already, of stack aws-eu-west-1")
    assert set(states(found, "failure")) == {"addresses", "bucket"}


def test_weights_that_were_pushed_to_the_stand_in_are_seen(tmp_path: Path) -> None:
    keep(tmp_path, deployed(tmp_path))
    assert asked(tmp_path)["weights"].state == "warning"
    key = "models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
    open_store(load(), tmp_path, None, 1).put(key, b"{}", hashlib.sha256(b"{}").hexdigest())
    assert asked(tmp_path)["weights"].state == "ok"


def test_a_value_in_the_secrets_and_a_manifest_in_the_bucket_are_seen(tmp_path: Path) -> None:
    cloud = deployed(tmp_path)
    keys = next(r for r in cloud.all("aws:secretsmanager/secret:Secret") if r["name"].endswith("api-keys"))
    cloud.create(
        "aws:secretsmanager/secretVersion:SecretVersion", secretId=keys.id, secretString='[{"name": "a", "hash": "x"}]'
    )
    bucket = f"spillway-models-{ACCOUNT}-us-east-1"
    key = "models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
    cloud.stand_in("aws:s3/bucketObjectv2:BucketObjectv2", "o", bucket=bucket, key=key)
    keep(tmp_path, cloud)
    assert states(asked(tmp_path)) == {"certificate": "warning"}


def test_the_weathers_quotas_are_the_accounts(tmp_path: Path) -> None:
    weather(
        tmp_path,
        "quotas:\n"
        "  - {name: L-417A185B, value: 96}\n"
        "  - {region: us-west-2, name: L-0263D0A3, value: 0}\n"
        "  - {name: L-C4BD4855, value: 0}\n"
        "  - {name: L-7212CCBC, value: 0}\n",
    )
    found = asked(tmp_path)
    assert states(found) == {
        "quota.on-demand.L-417A185B": "failure",
        "quota.spot.L-7212CCBC": "failure",
        "quota.spot.L-C4BD4855": "failure",
    }


def test_sold_out_weather_is_a_note_since_up_succeeds(tmp_path: Path) -> None:
    weather(tmp_path, "soldOut:\n  - {market: spot}\n  - {type: p5.*, zone: us-east-1a, market: on-demand}\n")
    found = asked(tmp_path)
    assert states(found) == {}
    assert found["sold-out.spot"].action == "`up` succeeds all the same; the fallback buys on-demand"
    assert found["sold-out.on-demand"].found == "p5.48xlarge in us-east-1a"


def test_other_peoples_machines_and_reservations_use_the_quota(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    cloud.stand_in(tokens.INSTANCE, "i-1", instanceType="p5.48xlarge", availabilityZone="us-east-1a")
    cloud.stand_in(tokens.INSTANCE, "i-2", instanceType="p5.48xlarge", tags=TAGS)
    cloud.stand_in(tokens.INSTANCE, "i-3", instanceType="p4d.24xlarge", instanceMarketOptions={"marketType": "spot"})
    cloud.stand_in(
        tokens.CAPACITY_RESERVATION, "cr-1", instanceType="p4d.24xlarge", availabilityZone="us-east-1a", instanceCount=2
    )
    keep(tmp_path, cloud)
    found = asked(tmp_path)
    assert found["quota.on-demand.L-417A185B"].found == "1152 vCPUs, 384 used by others"
    assert found["quota.spot.L-7212CCBC"].found == "1152 vCPUs, 96 used by others"


def test_a_named_reservation_is_found(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    made = cloud.create(
        tokens.CAPACITY_RESERVATION, instanceType="p5.48xlarge", availabilityZone="us-east-1a", instanceCount=1,
        instancePlatform="Linux/UNIX",
    )  # fmt: skip
    keep(tmp_path, cloud)
    found = asked(tmp_path, {"pools.reservations": {"capacityReservations": [made.id]}})
    assert found[f"reservation.{made.id}"].state == "ok"


def test_the_bucket_of_another_account_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path).transaction(write=True) as tx:
        name = f"spillway-models-{ACCOUNT}-us-east-1"
        tx.put("aws", Resource("aws:s3/bucket:Bucket", name, "us-east-1", "999999999999", {}, {"bucket": name}))
    assert asked(tmp_path)["bucket"].state == "failure"


def test_a_secret_in_its_recovery_window_keeps_its_name(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    cloud.delete(cloud.create("aws:secretsmanager/secret:Secret", name=f"spillway/{STACK}/api-keys"))
    keep(tmp_path, cloud)
    row = asked(tmp_path)["api-keys"]
    assert (row.state, "recovery window" in row.found) == ("failure", True)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ({"family": "spillway-vllm", "version": "2026.11.1"}, True),
        ({"family": "spillway-vllm", "newest": True}, True),
        ({"family": "spillway-vllm", "version": "1999.1"}, False),
        ({"family": "other", "newest": True}, False),
    ],
)
def test_the_stand_ins_images_are_found_as_the_program_finds_them(
    tmp_path: Path, image: dict[str, Any], found: bool
) -> None:
    row = asked(tmp_path, {"image": image})["image"]
    assert (row.state == "ok") is found


def test_a_default_key_of_ones_own_is_looked_at(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    key = cloud.create(tokens.KMS_KEY)
    cloud.create("aws:ebs/defaultKmsKey:DefaultKmsKey", keyArn=key["arn"])
    keep(tmp_path, cloud)
    row = asked(tmp_path)["key"]
    assert (row.state, "AWSServiceRoleForAutoScaling" in row.found) == ("warning", True)
