"""Room in the account's quotas for what the pools may need, above all when the fallback has to buy on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from pydantic import Field

from infra import catalog
from policy.findings import Finding, Policy, Settings, Stack
from policy.rules.pools import Pool, pools

EIP_QUOTA: Final = "L-0263D0A3"
EIP: Final = "aws:ec2/eip:Eip"
DEFAULTS: Final = {EIP_QUOTA: 5.0}
"""What an account has before it asks (https://docs.aws.amazon.com/general/latest/gr/ec2-service.html#limits_ec2)."""
_UNITS: Final[dict[str, Callable[[catalog.Machine], int]]] = {
    "aws": lambda machine: machine.vcpus,
    "azure": lambda machine: machine.vcpus,
    "gcp": lambda machine: machine.gpus,
    "tencent": lambda machine: 1,
}
"""What the quotas of a cloud count."""


class Quotas(Settings):
    """What was granted. `spillway preflight STACK` asks the account itself; here stands what a plan is held to."""

    quotas: dict[str, float] = Field(
        default_factory=dict,
        description="code or name of a quota (L-417A185B, standardNDASv4_A100Family, NVIDIA_A100_GPUS) -> limit",
    )
    headroom_percent: float = Field(default=0, ge=0, le=100, description="share of each limit that stays free")


def _whole(stack: Stack, settings: Quotas) -> Iterator[Finding]:
    limits = {**DEFAULTS, **settings.quotas}
    eips = stack.side.of(EIP)
    if eips:
        yield from _held(eips[0].urn, EIP_QUOTA, Decimal(len(eips)), f"{len(eips)} Elastic IPs", limits, settings)
    untold: dict[str, None] = {}
    needed: dict[str, tuple[Decimal, str, str]] = {}
    for pool in pools(stack):
        for code, amount, words in _needs(pool):
            if code in limits:
                before, said, urn = needed.get(code, (Decimal(0), "", pool.group.urn))
                needed[code] = (before + amount, f"{said}, {words}" if said else words, urn)
            else:
                untold[code] = None
    for code, (amount, words, urn) in needed.items():
        yield from _held(urn, code, amount, words, limits, settings)
    if untold:
        yield Finding(
            "", f"limits of {', '.join(untold)} are not told: quotas, as `spillway preflight` finds them", judged=False
        )


def _held(
    urn: str, code: str, needed: Decimal, words: str, limits: dict[str, float], settings: Quotas
) -> Iterator[Finding]:
    limit = Decimal(str(limits[code])) * (1 - Decimal(str(settings.headroom_percent)) / 100)
    if needed > limit:
        less = f" less {settings.headroom_percent:g} %" if settings.headroom_percent else ""
        yield Finding(urn, f"{words}: {needed.normalize():f} of quota {code}; allowed are {limits[code]:g}{less}")


def _needs(pool: Pool) -> Iterator[tuple[str, Decimal, str]]:
    """Each quota that a pool counts against, by the largest of its types there: on-demand at the most that it may have,
    as it may have to stand in for everything; spot as it is meant to be."""
    count = pool.count.ceiling if pool.market == "on-demand" else pool.count.steady
    by_code: dict[str, tuple[int, str]] = {}
    for name in pool.types:
        if not catalog.is_machine(name):
            continue
        machine = catalog.machine(name)
        code = machine.on_demand_quota if pool.market == "on-demand" else machine.spot_quota
        each = _UNITS[machine.cloud](machine)
        if code and each > by_code.get(code, (0, ""))[0]:
            by_code[code] = (each, name)
    for code, (each, name) in by_code.items():
        if count:
            yield (
                code,
                count * each,
                f"{int(count)} x {name} {'on demand' if pool.market == 'on-demand' else 'on spot'}",
            )


POLICY: Final = Policy(
    "quota-headroom",
    "Quota headroom",
    "What the pools may need at the most is inside the account's quotas.",
    Quotas,
    whole=_whole,
)
