"""The stand-in AWS as a preflight sees it: its store, its weather, its images, zones and quotas.

It answers before the first `up`, too: an account with nothing in it. What only a real account has (a spot market,
scores, service-linked roles) is not asked by the checks, see facts.Account.stand_in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sandbox.aws import images as stand_in_images
from sandbox.aws import quotas as stand_in_quotas
from sandbox.aws import s3, secrets, tokens, zones
from sandbox.aws.accounts import all_quotas
from sandbox.cloud import CallCloud
from sandbox.kinds import Resource
from spillway.models.directory import StandInBucket
from spillway.preflight.aws_region.facts import (
    Bucket,
    Identity,
    Key,
    MachineImage,
    Market,
    NameKind,
    Owned,
    Quota,
    Reservation,
    Running,
    Score,
    Secret,
    SpotPrice,
    Zone,
)
from spillway.preflight.aws_region.network_checks import GP3_STORAGE
from spillway.preflight.model import Unanswered, once
from spillway.preflight.stand_in_store import StandInAsker, stack_of

if TYPE_CHECKING:
    from infra.sections import Image

_SERVICES: Final = {
    "elasticloadbalancing": (
        stand_in_quotas.APPLICATION_BALANCERS,
        stand_in_quotas.NETWORK_BALANCERS,
        stand_in_quotas.TARGET_GROUPS,
        stand_in_quotas.LISTENERS_PER_APPLICATION,
        stand_in_quotas.LISTENERS_PER_NETWORK,
    ),
    # https://docs.aws.amazon.com/general/latest/gr/ebs-service.html: 50 TiB; the stand-in enforces nothing here.
    "ebs": (stand_in_quotas.Quota(GP3_STORAGE.code, GP3_STORAGE.name, 50),),
}
_NAMED: Final[Mapping[NameKind, str]] = {
    "launch template": tokens.LAUNCH_TEMPLATE,
    "auto scaling group": tokens.AUTOSCALING_GROUP,
    "load balancer": tokens.LOAD_BALANCER,
    "target group": tokens.TARGET_GROUP,
    "role": "aws:iam/role:Role",
}
_DEFAULT_KEY: Final = "aws:ebs/defaultKmsKey:DefaultKmsKey"


class StandInAccount(StandInAsker):
    """One account and region of the sandbox in `directory`. See facts.Account."""

    def __init__(self, directory: Path, region: str, account: str) -> None:
        super().__init__(directory, "aws", region, account)

    def _owned(self, token: str) -> list[Owned]:
        return [Owned(r.id, stack_of(r)) for r in self._all(token)]

    @once
    def identity(self) -> Identity:
        return Identity(self._account, "the stand-in AWS")

    @once
    def quotas(self, service: str) -> Sequence[Quota]:
        elsewhere = {quota.code for each in _SERVICES.values() for quota in each}
        known = _SERVICES.get(service) or [q for q in all_quotas().values() if q.code not in elsewhere]
        with self._cloud() as cloud:
            return [Quota(service, q.code, q.name, cloud.quota(q.code, q.default)) for q in known]

    @once
    def zones(self) -> Sequence[Zone]:
        return [Zone(name, zones.zone_id(name) or "", "available", True) for name in zones.zone_names(self.region)]

    @once
    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        return {
            name: frozenset(zone for zone in zones.zone_names(self.region) if zones.is_offered(name, zone))
            for name in types
        }

    @once
    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        offered = self.offerings(types)
        markets: tuple[Market, ...] = ("spot", "on-demand")
        with self._cloud() as cloud:
            return [
                (name, zone, market)
                for market in markets
                for name in types
                for zone in zones
                if zone in offered[name] and cloud.sold_out(zone, name, market)
            ]

    @once
    def running(self) -> Sequence[Running]:
        return [
            Running(
                id=r.id,
                machine_type=str(r["instanceType"] or ""),
                market="spot" if r["instanceMarketOptions"] or r["spotInstanceRequestId"] else "on-demand",
                zone=str(r["availabilityZone"] or ""),
                vcpus=_vcpus(str(r["instanceType"] or "")),
                stack=stack_of(r),
            )
            for r in self._all(tokens.INSTANCE)
        ]

    @once
    def images(self, image: Image) -> Sequence[MachineImage]:
        from infra.aws.lookups import image_filters

        with self._cloud() as cloud:
            found = stand_in_images.images(cloud)
            for name, value in image_filters(image).items():
                found = stand_in_images.matching(found, name, [value])
            if image.id is None:
                found = [one for one in found if one.owner_id == cloud.account]
        facts = [
            MachineImage(
                id=one.id,
                name=one.name,
                owner=one.owner_id,
                state="available",
                architecture=one.architecture,
                root_device=one.root_device,
                root_type="ebs",
                root_gib=one.root_gib,
                created=datetime.fromisoformat(one.created.replace("Z", "+00:00")),
                deprecated=None,
                ena=True,
            )
            for one in found
        ]
        return sorted(facts, key=lambda one: one.created, reverse=True)

    @once
    def secret(self, name: str) -> Secret | None:
        with self._cloud() as cloud:
            found = secrets.find_secret(name, cloud)
            if found is not None:
                return Secret(name, self._version(cloud, found) is not None, stack_of(found))
            for left in cloud.all(secrets.SCHEDULED, region=cloud.region):
                if left["name"] == name:
                    return Secret(name, False, "", datetime.fromisoformat(left["deletedDate"].replace("Z", "+00:00")))
        return None

    @once
    def secret_value(self, name: str) -> str:
        with self._cloud() as cloud:
            found = secrets.find_secret(name, cloud)
            version = self._version(cloud, found) if found is not None else None
            value = version.inputs.get("secretString") if version is not None else None
        if not isinstance(value, str):
            raise Unanswered("the stand-in keeps it as bytes")
        return value

    @staticmethod
    def _version(cloud: CallCloud, secret: Resource) -> Resource | None:
        for version in cloud.all(secrets.VERSION, region=cloud.region):
            if version["secretArn"] == secret.id and "AWSCURRENT" in (version["versionStages"] or []):
                return version
        return None

    def scores(self, types: tuple[str, ...], capacity: int, regions: tuple[str, ...]) -> Sequence[Score]:
        raise Unanswered("the stand-in has no market to score")

    def spot_prices(self, types: tuple[str, ...]) -> Sequence[SpotPrice]:
        raise Unanswered("the stand-in keeps no spot prices")

    @once
    def addresses(self) -> Sequence[Owned]:
        return self._owned(tokens.EIP)

    @once
    def nat_gateways(self) -> Sequence[Owned]:
        places = {subnet.id: str(subnet["availabilityZone"] or "") for subnet in self._all(tokens.SUBNET)}
        return [Owned(r.id, stack_of(r), places.get(str(r["subnetId"]), "")) for r in self._all(tokens.NAT_GATEWAY)]

    @once
    def networks(self) -> Sequence[Owned]:
        return self._owned(tokens.VPC)

    @once
    def internet_gateways(self) -> Sequence[Owned]:
        return self._owned(tokens.INTERNET_GATEWAY)

    @once
    def balancers(self) -> Sequence[Owned]:
        found = [r for r in self._all(tokens.LOAD_BALANCER) if r["loadBalancerType"] == "network"]
        return [Owned(str(r["name"]), stack_of(r)) for r in found]

    @once
    def target_groups(self) -> Sequence[Owned]:
        return [Owned(str(r["name"]), stack_of(r)) for r in self._all(tokens.TARGET_GROUP)]

    @once
    def holder(self, kind: NameKind, name: str) -> Owned | None:
        return next((Owned(r.id, stack_of(r)) for r in self._all(_NAMED[kind]) if r["name"] == name), None)

    @once
    def gp3_gib(self, besides: str) -> int:
        found = [r for r in self._all(tokens.VOLUME) if r["type"] == "gp3" and stack_of(r) != besides]
        return sum(int(r["size"] or 0) for r in found)

    @once
    def reservations(self) -> Sequence[Reservation]:
        return [
            Reservation(
                id=r.id,
                owner=self._account,
                machine_type=str(r["instanceType"]),
                zone=str(r["availabilityZone"]),
                total=int(r["instanceCount"] or 0),
                available=int(r["instanceCount"] or 0),
                state="active",
                match=str(r["instanceMatchCriteria"] or "open"),
                block=r.token == tokens.CAPACITY_BLOCK,
                end=datetime.fromisoformat(r["endDate"].replace("Z", "+00:00")) if r["endDate"] else None,
            )
            for r in self._all(*tokens.CAPACITY_RESERVATIONS)
        ]

    @once
    def service_role(self, name: str) -> bool:
        return True  # its caller may make them, and so they are made at first use

    @once
    def default_key(self) -> Key:
        set_by_hand = self._all(_DEFAULT_KEY)
        if not set_by_hand:
            return Key("alias/aws/ebs", "Enabled", "AWS", True)
        arn = str(set_by_hand[-1]["keyArn"])
        key = next((r for r in self._all(tokens.KMS_KEY) if r["arn"] == arn), None)
        if key is None:
            return Key(arn, "PendingDeletion", "CUSTOMER", None)
        state = "Disabled" if key["isEnabled"] is False else "Enabled"
        return Key(arn, state, "CUSTOMER", "AWSServiceRoleForAutoScaling" in str(key["policy"] or ""))

    @once
    def bucket(self, name: str) -> Bucket:
        with self._transaction() as tx:  # bucket names are one namespace over all accounts and regions
            everywhere = [r for token in s3.BUCKETS for r in tx.all("aws", token)]
        found = next((r for r in everywhere if r["bucket"] == name), None)
        if found is None:
            return Bucket("nobody")
        if found.account != self._account:
            return Bucket("somebody else")
        return Bucket("this account", found.region, stack_of(found))

    @once
    def has_object(self, bucket: str, key: str) -> bool:
        if any(r["bucket"] == bucket and r["key"] == key for r in self._all(*s3.OBJECTS)):
            return True
        # Weights are no resources: `spillway models push --sandbox` keeps them beside the stand-in's store.
        made = next((r.created_at for r in self._all(*s3.BUCKETS) if r["bucket"] == bucket), None)
        return made is not None and StandInBucket(self.directory, bucket, made, bucket).stat(key) is not None


def _vcpus(machine_type: str) -> int:
    found = stand_in_quotas.instance_type(machine_type)
    return found.vcpus if found else 0
