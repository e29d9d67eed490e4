"""An account that a test describes: sound for the shipped us-east-1 stack, with whatever a test changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from infra import catalog
from infra.config import AwsRegion
from infra.sections import Image
from spillway.preflight.aws_region import region
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
from spillway.preflight.model import Row, Unanswered
from tests.unit.stack_data import load

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
STACK = "aws-us-east-1"
ACCOUNT = "123456789012"

IMAGE = MachineImage(
    id="ami-0123456789abcdef0",
    name="spillway-vllm-2026.11.1",
    owner=ACCOUNT,
    state="available",
    architecture="x86_64",
    root_device="/dev/sda1",
    root_type="ebs",
    root_gib=60,
    created=NOW - timedelta(days=8),
    deprecated=None,
    ena=True,
)
ME = Identity(ACCOUNT, "arn:aws:iam::123456789012:user/me")
AWS_KEY = Key("alias/aws/ebs", "Enabled", "AWS", True)
FREE = Bucket("nobody")
QUOTAS = {
    "ec2": {
        "L-417A185B": ("Running On-Demand P instances", 1152),
        "L-DB2E81BA": ("Running On-Demand G and VT instances", 0),
        "L-7212CCBC": ("All P4, P3 and P2 Spot Instance Requests", 576),
        "L-C4BD4855": ("All P5 Spot Instance Requests", 1152),
        "L-3819A6DF": ("All G and VT Spot Instance Requests", 0),
        "L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
        "L-0263D0A3": ("EC2-VPC Elastic IPs", 5),
    },
    "vpc": {
        "L-F678F1CE": ("VPCs per Region", 5),
        "L-A4707A72": ("Internet gateways per Region", 5),
        "L-FE5A380F": ("NAT gateways per Availability Zone", 5),
    },
    "elasticloadbalancing": {
        "L-69A177A2": ("Network Load Balancers per Region", 50),
        "L-B22855CB": ("Target Groups per Region", 3000),
    },
    "ebs": {"L-7A658B76": ("Storage for General Purpose SSD (gp3) volumes, in TiB", 50)},
}


@dataclass
class FakeAccount:
    """See facts.Account. `values`: code -> value of a quota; `denied`: methods that are not answered."""

    region: str = "us-east-1"
    stand_in: bool = False
    who: Identity = ME
    values: dict[str, float] = field(default_factory=dict)
    more_quotas: tuple[Quota, ...] = ()
    zone_list: Sequence[Zone] = tuple(
        Zone(f"us-east-1{letter}", f"use1-az{i}", "available", True) for i, letter in enumerate("abcdef", 1)
    )
    offered: Mapping[str, frozenset[str]] | None = None
    instances: Sequence[Running] = ()
    found_images: Sequence[MachineImage] = (IMAGE,)
    secrets: dict[str, Secret] = field(default_factory=dict)
    secret_values: dict[str, str] = field(default_factory=dict)
    score_list: Sequence[Score] = ()
    prices: Sequence[SpotPrice] | None = None
    eips: Sequence[Owned] = ()
    nats: Sequence[Owned] = ()
    vpcs: Sequence[Owned] = ()
    igws: Sequence[Owned] = ()
    nlbs: Sequence[Owned] = ()
    tgs: Sequence[Owned] = ()
    holders: dict[tuple[str, str], Owned] = field(default_factory=dict)
    gp3: int = 0
    reserved: Sequence[Reservation] = ()
    roles: bool = True
    key: Key = AWS_KEY
    model_bucket: Bucket = FREE
    objects: frozenset[str] = frozenset()
    gone: Sequence[tuple[str, str, Market]] = ()
    denied: frozenset[str] = frozenset()
    asked: list[Any] = field(default_factory=list)

    def _answer(self, question: str, answer: Any) -> Any:
        self.asked.append(question)
        if question in self.denied:
            raise Unanswered(f"denied: {question}", f"allow {question}")
        return answer

    def identity(self) -> Identity:
        found: Identity = self._answer("identity", self.who)
        return found

    def quotas(self, service: str) -> Sequence[Quota]:
        listed = [
            Quota(service, code, name, self.values.get(code, value)) for code, (name, value) in QUOTAS[service].items()
        ]
        found: Sequence[Quota] = self._answer(
            "quotas", [*listed, *(q for q in self.more_quotas if q.service == service)]
        )
        return found

    def zones(self) -> Sequence[Zone]:
        return list(self._answer("zones", self.zone_list))

    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        known = {name: frozenset(catalog.zones(name, self.region)) for name in types}
        found: Mapping[str, frozenset[str]] = self._answer("offerings", known if self.offered is None else self.offered)
        return found

    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        return list(self._answer("sold_out", self.gone))

    def running(self) -> Sequence[Running]:
        return list(self._answer("running", self.instances))

    def images(self, image: Image) -> Sequence[MachineImage]:
        return list(self._answer("images", self.found_images))

    def secret(self, name: str) -> Secret | None:
        found: Secret | None = self._answer("secret", self.secrets.get(name))
        return found

    def secret_value(self, name: str) -> str:
        return str(self._answer("secret_value", self.secret_values[name]))

    def scores(self, types: tuple[str, ...], capacity: int, regions: tuple[str, ...]) -> Sequence[Score]:
        return list(self._answer("scores", self.score_list))

    def spot_prices(self, types: tuple[str, ...]) -> Sequence[SpotPrice]:
        everywhere = [SpotPrice(name, zone.name, "9.5") for name in types for zone in self.zone_list]
        return list(self._answer("spot_prices", everywhere if self.prices is None else self.prices))

    def addresses(self) -> Sequence[Owned]:
        return list(self._answer("addresses", self.eips))

    def nat_gateways(self) -> Sequence[Owned]:
        return list(self._answer("nat_gateways", self.nats))

    def networks(self) -> Sequence[Owned]:
        return list(self._answer("networks", self.vpcs))

    def internet_gateways(self) -> Sequence[Owned]:
        return list(self._answer("internet_gateways", self.igws))

    def balancers(self) -> Sequence[Owned]:
        return list(self._answer("balancers", self.nlbs))

    def target_groups(self) -> Sequence[Owned]:
        return list(self._answer("target_groups", self.tgs))

    def holder(self, kind: NameKind, name: str) -> Owned | None:
        found: Owned | None = self._answer(f"holder {kind}", self.holders.get((kind, name)))
        return found

    def gp3_gib(self, besides: str) -> int:
        return int(self._answer("gp3_gib", self.gp3))

    def reservations(self) -> Sequence[Reservation]:
        return list(self._answer("reservations", self.reserved))

    def service_role(self, name: str) -> bool:
        return bool(self._answer("service_role", self.roles))

    def default_key(self) -> Key:
        found: Key = self._answer("default_key", self.key)
        return found

    def bucket(self, name: str) -> Bucket:
        found: Bucket = self._answer("bucket", self.model_bucket)
        return found

    def has_object(self, bucket: str, key: str) -> bool:
        return bool(self._answer("has_object", key in self.objects))


def rows(
    account: FakeAccount | None = None,
    changes: dict[str, Any] | None = None,
    *,
    regions: tuple[str, ...] = ("us-east-1",),
    image_age: int = 60,
    config: AwsRegion | None = None,
    global_names: tuple[str, ...] = (),
) -> dict[str, Row]:
    """The rows by id, of the shipped stack with `changes` of its file."""
    made = region.rows(
        config or load(changes), account or FakeAccount(), NOW, regions, lambda _: None, image_age, global_names
    )
    found = {row.id: row for row in made}
    assert len(found) == len(made), "ids are unique"
    return found


def states(found: Mapping[str, Row], *wanted: str) -> dict[str, str]:
    """id -> state of the rows in these states, all but `ok` and `note` without any."""
    keep = wanted or ("failure", "warning", "unknown")
    return {id: row.state for id, row in found.items() if row.state in keep}


def running(machine_type: str, count: int = 1, market: Market = "on-demand", stack: str = "") -> list[Running]:
    vcpus = catalog.machine(machine_type).vcpus if catalog.is_machine(machine_type) else 8
    one = Running("i-0", machine_type, market, "us-east-1a", vcpus, stack)
    return [replace(one, id=f"i-{n}") for n in range(count)]


def owned(count: int, stack: str = "") -> list[Owned]:
    return [Owned(f"id-{n}", stack) for n in range(count)]
