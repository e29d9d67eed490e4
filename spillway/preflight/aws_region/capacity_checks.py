"""vCPU quotas, zones, offerings, reservations, and what is known of the spot market."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, TypeVar

from infra.faults import listed
from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.aws_region.facts import Market, Reservation, Score
from spillway.preflight.aws_region.vcpus import Demand, PoolMarket, demands, used, vcpus
from spillway.preflight.model import Row, State, Unanswered, count

T = TypeVar("T")

FEWEST_TYPES: Final = 3
"""With fewer types the score is always low:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetSpotPlacementScores.html"""
ENDS_SOON: Final = timedelta(days=7)


def spot_quota(context: AwsContext) -> Iterator[Row]:
    """Spot vCPUs against what the spot pool may launch."""
    return _vcpu_quota(context, "spot")


def on_demand_quota(context: AwsContext) -> Iterator[Row]:
    """On-demand vCPUs against the fallback at its largest: everything on-demand."""
    return _vcpu_quota(context, "on-demand")


def _vcpu_quota(context: AwsContext, market: PoolMarket) -> Iterator[Row]:
    config, account = context.config, context.account
    quotas = account.quotas("ec2")
    reserved, unseen = _asked(account.reservations) if market == "on-demand" else ((), "")
    found, without = demands(config, market, quotas, reserved)
    running, unseen_too = _asked(account.running)
    free: dict[str, float] = {}
    for demand in found:
        others = used(demand.quota, market, running, reserved, quotas, config, config.account)
        free[demand.quota.code] = demand.quota.value - others
    # A pool whose types count against several quotas launches from each of them: one that is short may be made up for.
    fits = sum(max(0, free[d.quota.code]) // vcpus(d.largest) for d in found)
    for demand in found:
        row = _quota_row(context, demand, free[demand.quota.code], fits)
        if row.state == "ok" and (unseen or unseen_too):
            # Too little is too little, whoever uses it; what would be enough may be in use.
            why = unseen or unseen_too
            row = replace(row, state="unknown", found=f"{row.found}; what others use is not known ({why})")
        yield row
    for name in without:
        yield Row(
            f"quota.{market}.{name}",
            f"{market} vCPUs for {name}",
            "unknown",
            "no quota of this account names its family",
            action=f"look for it by name in the Service Quotas console of {config.region}, Amazon EC2",
        )


def _asked(question: Callable[[], Sequence[T]]) -> tuple[Sequence[T], str]:
    """The answer, or nothing and why there is none: a quota is worth telling without its use."""
    try:
        return question(), ""
    except Unanswered as error:
        return (), error.reason


def _quota_row(context: AwsContext, demand: Demand, free: float, fits: float) -> Row:
    quota, market = demand.quota, demand.market
    others = quota.value - free
    value = f"{quota.value:g} vCPUs" + (f", {others:g} used by others" if others else "")
    needed = f"{demand.needed:g} vCPUs: {demand.most} x {demand.largest} ({vcpus(demand.largest)})"
    title = f"{market} vCPUs: {', '.join(demand.types)}"
    id = f"quota.{market}.{quota.code}"
    request = context.request(quota, demand.needed + others)
    if free >= demand.needed:
        if not demand.certain:
            why = f"{quota.name} has room, but no quota names this family: AWS may count it elsewhere"
            return Row(id, title, "warning", value, needed, why)
        return Row(id, title, "ok", value, needed)
    if not demand.certain:
        why = "no quota names this family; this one is the closest"
        return Row(id, title, "warning", value, needed, why, request)
    if market == "on-demand":
        if fits >= demand.most:
            return Row(id, title, "warning", value, needed, "the pool's other types have room", request)
        why = f"the fallback is sure of {fits:g} of {count(demand.most, 'replica')} on-demand when spot is gone"
        return Row(id, title, "failure", value, needed, why, request)
    if fits >= demand.most:
        return Row(id, title, "warning", value, needed, "the pool's other types have room", request)
    if fits >= demand.wanted:
        why = f"enough for the {demand.wanted} wanted now, on-demand stands in above {fits:g}"
        return Row(id, title, "warning", value, needed, why, request)
    why = f"the spot pool gets {fits:g} of the {demand.wanted} wanted, on-demand pays for the rest"
    return Row(id, title, "failure", value, needed, why, request)


def zones(context: AwsContext) -> Iterator[Row]:
    """The configured zones: there, and opted in."""
    config = context.config
    known = {zone.name: zone for zone in context.account.zones()}
    wanted = config.zones
    title = "availability zones"
    missing = [name for name in wanted if name not in known]
    closed = [name for name in wanted if name in known and not known[name].opted]
    ill = [name for name in wanted if name in known and known[name].opted and known[name].state != "available"]
    there = ", ".join(name for name, zone in sorted(known.items()) if zone.opted)
    if missing:
        action = f"write network.zones of this account into the stack file; {config.region} has {there}"
        yield Row("zones", title, "failure", f"{', '.join(missing)}: not in this account", ", ".join(wanted), action)
    if closed:
        action = (
            f"aws ec2 modify-availability-zone-group --opt-in-status opted-in --region {config.region} --group-name ..."
        )
        yield Row("zones.opt-in", title, "failure", f"{', '.join(closed)}: not opted in", ", ".join(wanted), action)
    if ill:
        states = ", ".join(f"{name} is {known[name].state}" for name in ill)
        yield Row("zones.state", title, "warning", states, "available", "see the AWS Health Dashboard")
    if not (missing or closed or ill):
        yield Row("zones", title, "ok", ", ".join(wanted), count(len(wanted), "zone"))


def offerings(context: AwsContext) -> Iterator[Row]:
    """Which of the configured zones offer which type; a pool none of whose types is offered anywhere never launches."""
    config = context.config
    found = context.account.offerings(config.all_types)
    here = {name: [zone for zone in config.zones if zone in found.get(name, ())] for name in config.all_types}
    for pool, types in (("spot", config.pools.types), ("on-demand", config.on_demand_types)):
        if not any(here[name] for name in types):
            yield Row(
                f"offerings.{pool}",
                f"types of the {pool} pool",
                "failure",
                f"none of {', '.join(types)} is offered in {', '.join(config.zones)}",
                "at least one",
                "choose other zones or types: `spillway catalog --region " + config.region + "`",
            )
    for name in config.all_types:
        elsewhere = sorted(set(found.get(name, ())) - set(config.zones))
        if here[name]:
            skipped = [zone for zone in config.zones if zone not in here[name]]
            more = f"; not in {', '.join(skipped)}" if skipped else ""
            yield Row(f"offerings.{name}", f"{name} offered", "ok", f"{', '.join(here[name])}{more}", "a zone or more")
        else:
            hint = f"{listed(elsewhere)} would offer it" if elsewhere else "take it out of the stack file"
            yield Row(f"offerings.{name}", f"{name} offered", "warning", "in none of the zones", "a zone or more", hint)


def sold_out(context: AwsContext) -> Iterator[Row]:
    """What the stand-in's weather has no capacity of. The real cloud tells by a launch only, so there is no row."""
    if not context.account.stand_in:
        return
    config = context.config
    gone = context.account.sold_out(config.all_types, config.zones)
    markets: tuple[tuple[Market, tuple[str, ...]], ...] = (
        ("spot", config.pools.types),
        ("on-demand", config.on_demand_types),
    )
    for market, types in markets:
        places = [(name, zone) for name, zone, where in gone if where == market and name in types]
        if not places:
            continue
        offered = context.account.offerings(types)
        rest = [(n, z) for n in types for z in config.zones if z in offered.get(n, ()) and (n, z) not in places]
        told = "; ".join(
            f"{name} in {', '.join(zone for other, zone in places if other == name)}"
            for name in dict.fromkeys(name for name, _ in places)
        )
        stands = "the fallback buys on-demand" if market == "spot" else "only another region helps"
        action = "`up` succeeds all the same" + ("" if rest else f"; {stands}")
        yield Row(f"sold-out.{market}", f"{market} sold out now", "note", told, "", action)


def spot_prices(context: AwsContext) -> Iterator[Row]:
    """A type with no spot price in any of the zones has no spot market there."""
    if context.account.stand_in:
        return  # it has no market
    config = context.config
    found = [price for price in context.account.spot_prices(config.pools.types) if price.zone in config.zones]
    for name in config.pools.types:
        prices = sorted((float(price.usd), price.zone) for price in found if price.machine_type == name)
        id, title = f"spot-price.{name}", f"spot market of {name}"
        if not prices:
            action = "the spot pool never gets this type here; others have to carry it"
            yield Row(id, title, "warning", "no price in any of the zones", "a price", action)
            continue
        (low, where), (high, _) = prices[0], prices[-1]
        span = f"{low:.2f} USD/h in {where}" if low == high else f"{low:.2f} USD/h in {where}, up to {high:.2f}"
        yield Row(id, title, "ok", span, "a price")


def scores(context: AwsContext) -> Iterator[Row]:
    """Spot placement scores, as a rank among the regions of all stacks and among this region's zones. Never a failure:
    the score is relative, moves by the hour and promises nothing
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-placement-score.html)."""
    config, title = context.config, "spot placement score"
    wanted = config.pools.target - config.pools.floor
    if context.account.stand_in or wanted == 0:
        return
    types = config.pools.types
    if len(types) < FEWEST_TYPES:
        told = f"not asked: {count(len(types), 'type')} in the pool"
        action = "with fewer than three types every score is low; a third type also makes capacity easier to find"
        yield Row("placement", title, "note", told, f"{FEWEST_TYPES} types", action)
        return
    found = context.account.scores(types, wanted, context.regions)
    regions = _best_first(score for score in found if not score.zone_id)
    own = next((score for score in regions if score.region == config.region), None)
    if own is None:
        yield Row("placement", title, "note", f"none for {config.region}", "", "EC2 leaves out what scores too low")
        return
    # Only scores of one and the same question can be compared, and this one asked for this stack's types and count.
    rank = 1 + sum(score.score > own.score for score in regions)
    others = ", ".join(f"{score.region} {score.score}" for score in regions)
    state: State = "warning" if own.score <= 2 and rank == len(regions) and len(regions) > 1 else "note"
    action = "relative, for this moment and these types; it promises nothing"
    yield Row("placement", title, state, f"{own.score} of 10: rank {rank} of {len(regions)} ({others})", "", action)
    names = {zone.id: zone.name for zone in context.account.zones()}
    zones = _best_first(
        s for s in found if s.zone_id and s.region == config.region and names.get(s.zone_id) in config.zones
    )
    if zones:
        told = ", ".join(f"{names[score.zone_id]} {score.score}" for score in zones)
        yield Row("placement.zones", "spot placement score by zone", "note", told, "", action)


def _best_first(found: Iterable[Score]) -> list[Score]:
    return sorted(found, key=lambda score: (-score.score, score.region, score.zone_id))


def reservations(context: AwsContext) -> Iterator[Row]:
    """Capacity reservations and capacity blocks that the stack file names by id."""
    wanted = context.config.pools.reservations
    if not (wanted.capacity_reservations or wanted.capacity_blocks):
        return
    known = {found.id: found for found in context.account.reservations()}
    for id in wanted.capacity_reservations:
        yield _reservation_row(context, id, known.get(id), block=False)
    for id in wanted.capacity_blocks:
        yield _reservation_row(context, id, known.get(id), block=True)


def _reservation_row(context: AwsContext, id: str, found: Reservation | None, *, block: bool) -> Row:
    config = context.config
    kind = "capacity block" if block else "capacity reservation"
    row_id, title = f"reservation.{id}", f"{kind} {id}"
    key = "capacityBlocks" if block else "capacityReservations"
    if found is None:
        action = f"correct pools.reservations.{key}, or look in another region or account"
        return Row(row_id, title, "failure", "not in this account and region", "active", action)
    end = f", ends {found.end:%Y-%m-%d %H:%M} UTC" if found.end else ""
    told = f"{found.total} x {found.machine_type} in {found.zone}, {found.available} free, {found.state}{end}"
    if found.block != block:
        other = "capacityReservations" if block else "capacityBlocks"
        return Row(row_id, title, "failure", told, f"a {kind}", f"it belongs under pools.reservations.{other}")
    types = config.all_types if block else config.on_demand_types
    if found.machine_type not in types:
        return Row(row_id, title, "failure", told, listed(types), "no pool of the stack launches this type")
    if found.zone not in config.zones:
        return Row(row_id, title, "failure", told, listed(config.zones), "the stack has no subnet in its zone")
    if found.state not in ("active", "pending", "scheduled", "payment-pending", "assessing", "delayed"):
        return Row(
            row_id, title, "failure", told, "active", "it gives no capacity any more; take it out of the stack file"
        )
    if found.end is not None and found.end - context.now < ENDS_SOON:
        left = max(found.end - context.now, timedelta())
        days = f"{left.total_seconds() / 86_400:.1f} days left"
        state: State = "failure" if not left else "warning"
        return Row(row_id, title, state, told, "more than 7 days", f"{days}; prolong it, or plan for its end")
    if found.state != "active":
        return Row(row_id, title, "note", told, "active", "its group launches nothing until it starts")
    return Row(row_id, title, "ok", told, "active")
