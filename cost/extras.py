"""What a cloud charges besides machines: disks, addresses, balancer, NAT, checks, what leaves for the internet.

One table for each cloud, in the names of the price snapshot. A quantity is of a month, in base units of the price; what
a disk has without paying for it is taken off (gp3: https://aws.amazon.com/ebs/pricing/, Premium SSD v2:
https://learn.microsoft.com/en-us/azure/virtual-machines/disks-types#premium-ssd-v2, Hyperdisk Balanced:
https://docs.cloud.google.com/compute/docs/disks/hd-types/hyperdisk-balanced).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from cost.arithmetic import Arithmetic, Inputs, Number
from cost.ledger import Charge, Ledger
from cost.options import DAYS_PER_MONTH, HOURS, Facts, price_charge
from cost.prices.snapshot import Price, Snapshot, Unpriced
from cost.result import Basis, Group

if TYPE_CHECKING:
    from cost.scenario_options import CloudOption, Disk

GB: Final = 1_000_000_000
GIB: Final = 1 << 30
Per = Literal["node", "once", "traffic"]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What moves in a month, in bytes: leaves for the internet, passes the balancer both ways."""

    out: Number
    through: Number


Amount = Callable[["CloudOption", Arithmetic, Inputs, str, Traffic], Number]
"""Base units a month, of a node where the row is per node."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of charge. hourly: the amount is there all month, and is charged by the hour where the price is.

    provider, region: of the price, where it is not the option's."""

    what: str
    group: Group
    sku: str
    per: Per
    unit: str
    amount: Amount
    provider: str = ""
    region: str = ""


def _disk(which: str, part: str, free: int) -> Amount:
    """Size, IOPS or throughput of a disk beyond what is free."""

    def amount(spec: CloudOption, n: Arithmetic, inputs: Inputs, key: str, traffic: Traffic) -> Number:
        disk: Disk | None = getattr(spec, which)
        if disk is None:
            return n.of(0)
        return n.largest(inputs[f"{key}.{which}.{part}"] - free, n.of(0))

    return amount


def _disks(sku: str, iops: int, mbps: int) -> tuple[Row, ...]:
    found = []
    for which, name in (("root", "boot volume"), ("data", "data volume")):
        found += [
            Row(name, "storage", f"{sku}.storage", "node", "GiB", _disk(which, "sizeGib", 0)),
            Row(f"{name}, IOPS", "storage", f"{sku}.iops", "node", "IOPS", _disk(which, "iops", iops)),
            Row(f"{name}, throughput", "storage", f"{sku}.throughput", "node", "MiB/s",
                _disk(which, "throughputMbps", mbps)),
        ]  # fmt: skip
    return tuple(found)


def _of(key: str) -> Amount:
    """A number of the file as it is."""
    return lambda spec, n, inputs, prefix, traffic: inputs[f"{prefix}.{key}"]


def _out(size: int) -> Amount:
    return lambda spec, n, inputs, prefix, traffic: traffic.out / size


def _through(size: int) -> Amount:
    return lambda spec, n, inputs, prefix, traffic: traffic.through / size


def _nat_nodes(spec: CloudOption, n: Arithmetic, inputs: Inputs, key: str, traffic: Traffic) -> Number:
    """Cloud NAT is charged by the VM that uses it (https://cloud.google.com/nat/pricing)."""
    return n.smallest(inputs[f"{key}.natGateways"], n.of(1))


def _checks() -> tuple[Row, ...]:
    """Health checks of Route 53, the default provider of names: HTTPS, every 10 s, of addresses outside its own."""
    rows = (("DNS health checks", "route53.check.other"), ("DNS health checks, HTTPS", "route53.check.https.other"),
            ("DNS health checks, every 10 s", "route53.check.fast.other"))  # fmt: skip
    return tuple(Row(what, "network", sku, "once", "check", _of("healthChecks"), "aws", "*") for what, sku in rows)


ROWS: Final[dict[str, tuple[Row, ...]]] = {
    "aws": (
        *_disks("ebs.gp3", 3000, 125),
        Row("load balancer", "network", "nlb.hour", "once", "balancer", _of("balancers")),
        # A capacity unit holds 1 GB an hour, or 800 new connections a second: bytes are the most by far here
        # (https://aws.amazon.com/elasticloadbalancing/pricing/).
        Row("load balancer, traffic", "network", "nlb.nlcu", "traffic", "NLCU-hour", _through(GB)),
        Row("public addresses", "network", "ipv4.hour", "once", "address", _of("addresses")),
        Row("address of NAT", "network", "ipv4.hour", "once", "address", _of("natGateways")),
        Row("NAT gateway", "network", "nat.hour", "once", "gateway", _of("natGateways")),
        Row("NAT gateway, traffic", "network", "nat.data", "traffic", "GB", _of("natGb")),
        Row("egress to the internet", "network", "egress.internet", "traffic", "GB", _out(GB)),
        Row("model store", "storage", "s3.standard.storage", "once", "GiB", _of("modelStoreGib")),
        Row("snapshots of images", "storage", "ebs.snapshot", "once", "GiB", _of("snapshotGib")),
        *_checks(),
    ),
    "azure": (
        *_disks("disk.premium-v2", 3000, 125),
        Row("load balancer", "network", "lb.standard.rule", "once", "balancer", _of("balancers")),
        Row("load balancer, traffic", "network", "lb.standard.data", "traffic", "GB", _through(GB)),
        Row("public addresses", "network", "ip.standard.hour", "once", "address", _of("addresses")),
        Row("address of NAT", "network", "ip.standard.hour", "once", "address", _of("natGateways")),
        Row("NAT gateway", "network", "nat.hour", "once", "gateway", _of("natGateways")),
        Row("NAT gateway, traffic", "network", "nat.data", "traffic", "GB", _of("natGb")),
        Row("egress to the internet", "network", "egress.internet", "traffic", "GB", _out(GB)),
        Row("model store", "storage", "blob.hot.storage", "once", "GiB", _of("modelStoreGib")),
        Row("snapshots of images", "storage", "disk.snapshot", "once", "GiB", _of("snapshotGib")),
        *_checks(),
    ),
    "gcp": (
        *_disks("hyperdisk.balanced", 3000, 140),
        Row("load balancer", "network", "lb.forwarding-rule.hour", "once", "balancer", _of("balancers")),
        Row("load balancer, traffic", "network", "lb.data", "traffic", "GiB", _through(GIB)),
        Row("public addresses", "network", "ip.forwarding-rule.hour", "once", "address", _of("addresses")),
        Row("address of NAT", "network", "ip.nat.hour", "once", "address", _of("natGateways")),
        Row("NAT gateway", "network", "nat.gateway.hour", "node", "node", _nat_nodes),
        Row("NAT gateway, traffic", "network", "nat.data", "traffic", "GiB",
            lambda spec, n, inputs, key, traffic: inputs[f"{key}.natGb"] * GB / GIB),
        Row("egress to the internet", "network", "egress.internet", "traffic", "GiB", _out(GIB)),
        Row("model store", "storage", "gcs.standard.storage", "once", "GiB", _of("modelStoreGib")),
        Row("snapshots of images", "storage", "snapshot.storage", "once", "GiB", _of("snapshotGib")),
        *_checks(),
    ),
    "tencent": (
        Row("boot volume", "storage", "cbs.storage", "node", "GiB", _disk("root", "sizeGib", 0)),
        Row("data volume", "storage", "cbs.storage", "node", "GiB", _disk("data", "sizeGib", 0)),
        Row("load balancer", "network", "clb.hour", "once", "balancer", _of("balancers")),
        Row("load balancer, traffic", "network", "clb.lcu", "traffic", "GB", _through(GB)),
        Row("public addresses", "network", "eip.hour", "once", "address", _of("addresses")),
        Row("address of NAT", "network", "eip.hour", "once", "address", _of("natGateways")),
        Row("NAT gateway", "network", "nat.hour", "once", "gateway", _of("natGateways")),
        Row("NAT gateway, traffic", "network", "nat.data", "traffic", "GB", _of("natGb")),
        Row("egress to the internet", "network", "egress.internet", "traffic", "GB", _out(GB)),
        Row("model store", "storage", "cos.standard.storage", "once", "GiB", _of("modelStoreGib")),
        *_checks(),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Priced:
    row: Row
    tiers: tuple[tuple[Decimal, Decimal | None, Decimal, Charge], ...]
    """(from, to, USD of a base unit, line) of each tier."""
    hours: int


class Extras:
    """The rows of one option with their prices; what has none is told to `facts`."""

    def __init__(self, spec: CloudOption, snapshot: Snapshot, today: date, facts: Facts, inputs: Inputs) -> None:
        from cost.arithmetic import EXACT

        self._spec, self._key = spec, f"options.{spec.name}"
        self._priced: list[_Priced] = []
        for row in ROWS[spec.provider]:
            some = Traffic(Decimal(1), Decimal(1))
            if not row.amount(spec, EXACT, inputs, self._key, some):
                continue  # none of it is asked for
            found = snapshot.tiers(
                provider=row.provider or spec.provider, region=row.region or spec.region, sku=row.sku
            )
            if isinstance(found, Unpriced):
                facts.lacks(row.what, found.reason)
            else:
                self._priced.append(_price(row, found, today))

    def charge(self, inputs: Inputs, ledger: Ledger, month: int, node_hours: Number, traffic: Traffic) -> None:
        """A month. node_hours: of all nodes together."""
        n = ledger.n
        for one in self._priced:
            amount = one.row.amount(self._spec, n, inputs, self._key, traffic)
            amount = amount * (node_hours / HOURS if one.row.per == "node" else 1) * one.hours
            for begin, end, price, charge in one.tiers:
                inside = n.largest(amount - n.of(begin), n.of(0))
                if end is not None:
                    inside = n.smallest(inside, n.of(end - begin))
                if price:  # a free tier is no charge
                    ledger.running(charge, month, inside, n.price(price, charge))


def _price(row: Row, tiers: tuple[Price, ...], today: date) -> _Priced:
    basis: Basis = {"node": "step", "once": "fixed", "traffic": "usage"}[row.per]  # type: ignore[assignment]
    hourly = tiers[0].unit.endswith("hour") and row.per != "traffic"
    found = []
    for index, one in enumerate(tiers):
        end = tiers[index + 1].from_quantity if index + 1 < len(tiers) else None
        what = row.what if len(tiers) == 1 else f"{row.what}, from {one.from_quantity.normalize():,f} {row.unit}"
        unit = f"{row.unit}-hour" if hourly else row.unit if row.per == "traffic" else f"{row.unit}-month"
        charge = price_charge(what, row.group, basis, one, unit, today)
        found.append((one.from_quantity, end, one.each, charge))
    return _Priced(row, tuple(found), HOURS if hourly else 1)


def traffic_of(n: Arithmetic, inputs: Inputs, key: str, tokens_day: Number, input_share: Decimal) -> Traffic:
    """Bytes of a month, from tokens and their size on the wire."""
    tokens = tokens_day * n.of(DAYS_PER_MONTH)
    out = tokens * n.of(1 - input_share) * inputs[f"{key}.answerBytesPerToken"]
    came = tokens * n.of(input_share) * inputs[f"{key}.requestBytesPerToken"]
    return Traffic(out, out + came)
