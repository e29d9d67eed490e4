"""Sizes in the region and its zones, vCPU quotas, what is sold out on the stand-in, and spot placement scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from infra import catalog
from infra.azure import zones as azure_zones
from infra.faults import listed
from spillway.preflight.azure_region.context import SPOT, AzureContext
from spillway.preflight.azure_region.facts import Score, Size
from spillway.preflight.model import Row, State, Unanswered
from spillway.preflight.pool_quotas import MARKETS, Limit, Market, replicas, share_rows, shares, types_of

REGIONAL: Final = "cores"
"""All regular vCPUs of a region together."""
SCORED_SIZES: Final = 5
SCORED_REGIONS: Final = 8
"""https://learn.microsoft.com/azure/virtual-machine-scale-sets/spot-placement-score"""
_RANKS: Final = ("High", "Medium", "Low")


def sizes(context: AzureContext) -> Iterator[Row]:
    """Which size the subscription may use here, and in which zones. A pool none of whose sizes is to be had never
    launches."""
    config = context.config
    found = context.account.sizes(config.all_types)
    for market in MARKETS:
        names = types_of(config, market)
        usable = [name for name in names if name in found and not found[name].closed and _zones(context, found[name])]
        if not usable:
            told = "; ".join(f"{name}: {_state(context, found.get(name))}" for name in names)
            action = f"choose other sizes, zones or another region: `spillway catalog --region {config.region}`"
            if any(name in found for name in names):
                action += "; access to a size is a support request: https://aka.ms/AzureSupportRequest"
            yield Row(f"offerings.{market}", f"sizes of the {market} pool", "failure", told, "at least one", action)
    for name in config.all_types:
        yield _size_row(context, name, found.get(name))


def _zones(context: AzureContext, size: Size) -> tuple[str, ...]:
    """The zones of the pools in which the size is to be had; ("",) in a region without zones and for pools outside of
    them."""
    wanted = azure_zones.pool_zones(context.config, size.name)
    open_zones = size.zones - size.closed_zones
    return tuple(zone for zone in wanted if zone in open_zones) if wanted else ("",)


def _state(context: AzureContext, size: Size | None) -> str:
    if size is None:
        return f"not offered in {context.config.region}"
    if size.closed:
        return f"closed to this subscription ({size.closed})"
    return f"in zones {', '.join(sorted(size.zones - size.closed_zones)) or 'none'}"


def _size_row(context: AzureContext, name: str, size: Size | None) -> Row:
    id, title = f"offerings.{name}", name
    needed = "offered and open"
    if size is None or size.closed:
        action = "no pool launches it here" if size is None else "ask for access: https://aka.ms/AzureSupportRequest"
        return Row(id, title, "warning", _state(context, size), needed, action)
    wanted = azure_zones.pool_zones(context.config, name)
    here = _zones(context, size)
    if name in types_of(context.config, "spot") and not size.spot:
        return Row(id, title, "failure", "not sold as spot", "spot", "take it out of pools.types")
    if wanted and set(here) != set(wanted):
        lost = [zone for zone in wanted if zone not in here]
        closed = [zone for zone in lost if zone in size.closed_zones]
        why = f"closed to this subscription in {', '.join(closed)}" if closed else f"not in {', '.join(lost)}"
        told = f"in zones {', '.join(here)}; {why}" if here else why
        # A scale set names all its zones at once, and one that does not have the size refuses all of it.
        action = f"`up` is refused with SkuNotAvailable: write {listed(here, 'and') if here else 'other zones'} instead"
        return Row(id, title, "failure", told, f"zones {', '.join(wanted)}", action)
    told = f"in zones {', '.join(here)}" if wanted else "offered, in no zone of its own"
    if not wanted and size.zones:
        more = ", ".join(sorted(size.zones - size.closed_zones))
        action = f"network.zones: [{more}] (in quotes) spreads the nodes over zones" if more else ""
        return Row(id, title, "note", told, needed, action)
    return Row(id, title, "ok", told, needed)


def _plain(name: str) -> str:
    """The API itself writes `Standard NDASv4_A100 Family` and `standardNDSH100v5Family`."""
    return name.replace(" ", "").lower()


def quota(context: AzureContext, market: Market) -> Iterator[Row]:
    """vCPUs of each family against the fallback at its largest; spot vCPUs against what the spot pool may launch."""
    limits = {_plain(limit.code): limit for limit in context.account.limits("Microsoft.Compute")}
    own = _own(context)
    spot = market == "spot"

    def limit_of(name: str) -> Limit | None:
        return limits.get(_plain(SPOT if spot else catalog.machine(name).on_demand_quota))

    def vcpus(name: str) -> int:
        return catalog.machine(name).vcpus

    by_limit: dict[str, float] = {}
    for (quota, of_spot), used in own.items():
        if of_spot == spot and (limit := limits.get(_plain(SPOT if spot else quota))) is not None:
            by_limit[limit.code] = by_limit.get(limit.code, 0) + used
    found, without = shares(context.config, market, "vCPUs", limit_of, vcpus, by_limit)
    yield from share_rows(found, context.request)
    for name in without:
        family = SPOT if spot else catalog.machine(name).on_demand_quota
        yield Row(
            f"quota.{market}.{name}",
            f"{market} vCPUs for {name}",
            "unknown",
            f"the region lists no quota {family}",
            action="look for the size's family on the page of quotas, https://portal.azure.com/#view/"
            "Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas",
        )
    regional = limits.get(REGIONAL)
    if not spot and regional is not None:
        # What others use of a family is in here, too, as is every other machine of the region.
        total = {regional.code: sum(used for (_, of_spot), used in own.items() if not of_spot)}
        found, _ = shares(context.config, market, "vCPUs", lambda _: regional, vcpus, total)
        for row in share_rows(found, context.request):
            yield Row(
                row.id, "on-demand vCPUs of the region", row.state, row.found, row.needed, row.action, row.request
            )


def _own(context: AzureContext) -> dict[tuple[str, bool], float]:
    """vCPUs of this stack's own scale sets by family's quota and whether they are spot; unseen ones are others'."""
    found: dict[tuple[str, bool], float] = {}
    try:
        there = context.account.scale_sets()
    except Unanswered:
        return found
    for one in there:
        if one.stack == context.stack and catalog.is_machine(one.size):
            machine = catalog.machine(one.size)
            key = machine.on_demand_quota, one.spot
            found[key] = found.get(key, 0) + one.capacity * machine.vcpus
    return found


def on_demand_quota(context: AzureContext) -> Iterator[Row]:
    """vCPUs of the families and of the region, for the fallback at its largest."""
    return quota(context, "on-demand")


def spot_quota(context: AzureContext) -> Iterator[Row]:
    """Spot vCPUs of the region."""
    return quota(context, "spot")


def sold_out(context: AzureContext) -> Iterator[Row]:
    """On the stand-in: what its weather has no capacity of. The real cloud tells by a launch only."""
    if not context.account.stand_in:
        return
    config = context.config
    for market in MARKETS:
        names = types_of(config, market)
        places = [(name, zone) for name in names for zone in azure_zones.pool_zones(config, name) or ("",)]
        zones = tuple(dict.fromkeys(zone for _, zone in places))
        gone = [
            (name, zone)
            for name, zone, where in context.account.sold_out(names, zones)
            if where == market and (name, zone) in places
        ]
        if not gone:
            continue
        told = "; ".join(
            f"{name} in {', '.join(f'zone {zone}' if zone else config.region for n, zone in gone if n == name)}"
            for name in dict.fromkeys(name for name, _ in gone)
        )
        stands = "the fallback buys on-demand" if market == "spot" else "only another region helps"
        action = "`up` succeeds all the same" + ("" if len(gone) < len(places) else f"; {stands}")
        yield Row(f"sold-out.{market}", f"{market} sold out now", "note", told, "", action)


def scores(context: AzureContext) -> Iterator[Row]:
    """Spot placement scores of this region beside those of other stacks'. Never a failure: a score holds for the moment
    and promises nothing. One question per run: scores are worth asking for again after a quarter of an hour."""
    wanted, _ = replicas(context.config, "spot")
    if context.account.stand_in or wanted == 0:
        return
    title, config = "spot placement score", context.config
    names = config.pools.types[:SCORED_SIZES]
    others = [region for region in context.regions if region != config.region]
    regions = (config.region, *others[: SCORED_REGIONS - 1])
    found = context.account.scores(names, wanted, regions)
    own = [score for score in found if score.region == config.region]
    if not own:
        yield Row("placement", title, "note", f"none for {config.region}", "", "it is scored by sizes and regions only")
        return
    told = ", ".join(f"{score.size} {score.score}" for score in own)
    elsewhere = _best_elsewhere([score for score in found if score.region != config.region])
    state: State = "warning" if all(score.score == "Low" for score in own) and elsewhere else "note"
    action = "for this moment, this number and these sizes; it promises nothing"
    if elsewhere:
        action += f"; elsewhere: {elsewhere}"
    yield Row("placement", title, state, told, "", action)


def _best_elsewhere(found: list[Score]) -> str:
    """Where spot is likelier than Low."""
    better = [score for score in found if score.score in _RANKS[:2]]
    ranked = sorted(better, key=lambda score: (_RANKS.index(score.score), score.region))
    return ", ".join(f"{score.region} {score.size} {score.score}" for score in ranked)
