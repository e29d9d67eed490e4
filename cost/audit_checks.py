"""How each claim is recomputed. One function for a claim; all of them in CHECKS, by the claim's id."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Final

from cost.audit import HUNDRED, Audited, Check, Claim, Verdict, price_of
from cost.breakeven import break_even
from cost.money import HOURS_PER_YEAR, MONTHS_PER_YEAR
from cost.prices.snapshot import LIST, Price, Snapshot

DAYS: Final = HOURS_PER_YEAR / 24
MILLION: Final = 1_000_000
THOUSAND: Final = 1_000
SECONDS_PER_DAY: Final = 86_400


def _unpriced(claim: Claim, reason: str) -> Audited:
    return claim.told(None, "unpriced", reason)


def api_price(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """Price x tokens x days."""
    price, tokens = claim.number("usdPerThousand"), claim.number("tokensPerDay")
    year = price / THOUSAND * tokens * DAYS
    needed = claim.stated / DAYS / price * THOUSAND
    times = max(claim.stated / year, year / claim.stated)
    why = (
        f"{tokens:,.0f} tokens a day are ${year / DAYS:,.2f} a day and ${year:,.0f} a year; the claim is "
        f"{times:.1f}x off, ${claim.stated:,.0f} takes {needed:,.0f} tokens a day"
    )
    return claim.judged(year, "wrong", why, ("tokens a day for the stated sum", needed, "tokens/day"))


def two_years(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """A sum."""
    found = claim.number("capex") + claim.number("years") * claim.number("usdPerYear")
    right = "is right" if claim.near(found) else "is wrong"
    why = f"the sum {right}; resale, cost of capital and anybody's time are left out of it"
    return claim.judged(found, "wrong", why)


def electricity(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """What a loaded machine takes, and which mean power the stated sum buys."""
    price, watts = claim.number("usdPerKwh"), claim.number("loadedWatts")
    loaded = watts / THOUSAND * HOURS_PER_YEAR * price
    mean = claim.stated / price / HOURS_PER_YEAR * THOUSAND
    other = claim.stated / claim.number("otherUsdPerKwh") / HOURS_PER_YEAR * THOUSAND
    why = (
        f"${claim.stated:,.0f} are {mean:,.0f} W on average at ${price}/kWh ({other:,.0f} W at "
        f"${claim.number('otherUsdPerKwh')}); a loaded machine of {watts:,.0f} W takes "
        f"${loaded:,.0f}"
    )
    return claim.judged(
        loaded, "depends" if mean < watts else "wrong", why, ("mean power for the stated sum", mean, "W"),
        ("the same at the other price", other, "W"),
    )  # fmt: skip


def cloud_year(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """Hours of a year at the assumed price."""
    price = claim.number("usdPerHour")
    found = price * HOURS_PER_YEAR
    return claim.judged(found, "wrong", f"it is ${price}/h for {HOURS_PER_YEAR:,} h: an assumed price, of no machine")


def local_wins(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """Fixed cost of a day over the API's price, by what the machine is written off over; and against other prices."""
    from cost import api

    price = claim.number("usdPerThousand") * THOUSAND
    capex, power, cloud = claim.number("capex"), claim.number("usdPerYear"), claim.number("cloudUsdPerYear")

    def tokens(years: Decimal, million: Decimal) -> Decimal:
        found = break_even((capex / years + power) / DAYS, million)
        assert found is not None  # an API is never free
        return found

    two, three = tokens(claim.number("years"), price), tokens(Decimal(3), price)
    needed = claim.stated * price / MILLION * DAYS
    years = capex / (needed - power)
    wrong_price = claim.number("apiUsdPerYear") / DAYS / claim.number("apiTokensPerDay") * MILLION
    with_wrong = tokens(claim.number("years"), wrong_price)
    versus_cloud = break_even(cloud / DAYS, price)
    assert versus_cloud is not None
    payback = capex / ((cloud - power) / MONTHS_PER_YEAR)
    shape = api.RequestShape(int(claim.number("inputTokens")), int(claim.number("outputTokens")))
    hours = api.by_hour(claim.inputs["apiModel"], claim.inputs["apiProvider"], shape, today)
    cheap = min(one.usd for one in hours) / (shape.input_tokens + shape.output_tokens) * MILLION
    today_tokens = tokens(claim.number("years"), cheap)
    why = (
        f"over {claim.number('years')} years it is {two / MILLION:.2f}M tokens a day, over 3 {three / MILLION:.2f}M; "
        f"{claim.stated / MILLION:.1f}M takes {years:.1f} years. At {claim.inputs['apiModel']}'s ${cheap:.4f}/M "
        f"off-peak it is {today_tokens / MILLION:.1f}M a day, {today_tokens / SECONDS_PER_DAY:.0f} tokens/s all day"
    )
    return claim.judged(
        two, "wrong", why, ("over three years", three, "tokens/day"), ("years for the stated figure", years, "years"),
        ("with the API price of the first claim", with_wrong, "tokens/day"),
        ("a machine in the cloud against the API", versus_cloud, "tokens/day"),
        ("months until the local machine beats the cloud", payback, "months"),
        ("against today's API price", today_tokens, "tokens/day"),
        ("the same", today_tokens / SECONDS_PER_DAY, "tokens/s"),
    )  # fmt: skip


def on_demand(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """The snapshot's price."""
    found = price_of(snapshot, claim, claim.inputs["machine"])
    if isinstance(found, str):
        return _unpriced(claim, found)
    change = (found.usd / claim.stated - 1) * HUNDRED
    why = f"on {found.observed} it costs ${found.usd}/h ({change:+.0f} %): {found.source}"
    return claim.judged(found.usd, "outdated", why, ("change", change, "%"))


def _zones(snapshot: Snapshot, claim: Claim, machine: str) -> list[Price]:
    rows = snapshot.spot_by_zone(provider=claim.inputs["provider"], region=claim.inputs["region"], sku=machine)
    return sorted(rows, key=lambda row: row.usd)


def spot(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """Spot is a price for each zone."""
    rows = _zones(snapshot, claim, claim.inputs["machine"])
    if not rows:
        return _unpriced(claim, f"no spot price of {claim.inputs['machine']} in {claim.inputs['region']}")
    low, high = rows[0].usd, rows[-1].usd
    share = claim.stated / claim.number("claimedOnDemand") * HUNDRED
    mean = sum((row.usd for row in rows), Decimal(0)) / len(rows)
    why = (
        f"{len(rows)} zones have ${low:.2f} to ${high:.2f}: a distribution, not a price; {claim.stated} is "
        f"{share:.1f} % of {claim.inputs['claimedOnDemand']}, so it was computed rather than seen"
    )
    verdict: Verdict = (
        "holds" if claim.near(low) and claim.near(high) else "one of" if low <= claim.stated <= high else "wrong"
    )
    return claim.told(mean, verdict, why, ("lowest", low, "USD/h"), ("highest", high, "USD/h"),
                      ("of the claimed on-demand price", share, "%"))  # fmt: skip


def cluster(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """A sum against hours of one machine, at the claimed prices and at today's."""
    found = price_of(snapshot, claim, claim.inputs["machine"])
    hours = claim.number("years") * HOURS_PER_YEAR
    paid = claim.number("clusterUsd")

    def below(usd_hour: Decimal) -> Decimal:
        return (1 - paid / (usd_hour * hours)) * HUNDRED

    then, cheap = claim.number("claimedOnDemand"), claim.number("claimedSpot")
    needed = paid / (1 - claim.stated / HUNDRED)
    told = [
        ("on demand at the claimed price", then * hours, "USD"), ("below that", below(then), "%"),
        ("on spot at the claimed price", cheap * hours, "USD"), ("dearer than that", -below(cheap), "%"),
        ("on demand for the stated figure", needed, "USD"), ("the same", needed / hours, "USD/h"),
    ]  # fmt: skip
    words = f"at ${then}/h three years are ${then * hours:,.0f}, {below(then):.1f} % more than is needed for it"
    if isinstance(found, str):
        return _unpriced(claim, f"{words}; today: {found}")
    bill = found.usd * hours
    told += [("on demand at today's price", bill, "USD")]
    why = (
        f"at ${then}/h it was {below(then):.1f} % (${then * hours:,.0f}); at today's ${found.usd} it is "
        f"{below(found.usd):.1f} % (${bill:,.0f}), and against spot at ${cheap} {-below(cheap):.0f} % dearer. They "
        "have different GPUs: compare $/token"
    )
    return claim.judged(below(found.usd), "wrong", why, *told)


def volumes(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """gp3 with more than it has for nothing, against gp2, by size."""
    prices = [price_of(snapshot, claim, f"ebs.{name}") for name in
              ("gp3.storage", "gp3.iops", "gp3.throughput", "gp2.storage")]  # fmt: skip
    for one in prices:
        if isinstance(one, str):
            return _unpriced(claim, one)
    gib, iops, mibps, old = (one.each for one in prices if isinstance(one, Price))
    extra = (claim.number("iops") - claim.number("freeIops")) * iops
    extra += (claim.number("mibps") - claim.number("freeMibps")) * mibps
    more = {size: ((gib * size + extra) / (old * size) - 1) * HUNDRED for size in claim.numbers("sizes")}
    # gib x S + extra = (1 + stated) x old x S
    slope = (1 + claim.stated / HUNDRED) * old - gib
    only = extra / slope if slope > 0 else None
    small = claim.number("comparedGib")
    gp2_size = claim.number("iops") / claim.number("gp2IopsPerGib")
    saved = (1 - (gib * small + extra) / (old * gp2_size)) * HUNDRED
    listed = ", ".join(f"{value:+.0f} % at {size:,.0f} GB" for size, value in more.items())
    why = (
        f"the extra is ${extra:,.0f} a month whatever the size: {listed}"
        + (f"; {claim.stated:+.0f} % only at {only:,.0f} GB" if only else "")
        + f". gp2 ends at {claim.inputs['gp2MibpsMost']} MB/s and needs {gp2_size:,.0f} GB for "
        f"{claim.number('iops'):,.0f} IOPS: against that gp3 of {small:,.0f} GB is {saved:.0f} % cheaper"
    )
    near = [claim.near(value) for value in more.values()]
    verdict: Verdict = "holds" if all(near) else "depends" if only else "wrong"
    figures = [(f"at {size:,.0f} GB", value, "%") for size, value in more.items()]
    if only:
        figures.append(("size at which it holds", only, "GB"))
    return claim.told(more[small], verdict, why, ("extra", extra, "USD/month"), *figures,
                      ("gp3 against a gp2 with the same IOPS", -saved, "%"))  # fmt: skip


def spot_saving(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """The saving of every zone of every machine."""
    savings: dict[str, list[Decimal]] = {}
    for machine in claim.inputs["machines"]:
        dear = price_of(snapshot, claim, machine)
        if isinstance(dear, str):
            return _unpriced(claim, dear)
        savings[machine] = [(1 - row.usd / dear.usd) * HUNDRED for row in _zones(snapshot, claim, machine)]
    every = sorted(one for found in savings.values() for one in found)
    if not every:
        return _unpriced(claim, f"no spot price in {claim.inputs['region']}")
    middle = every[len(every) // 2] if len(every) % 2 else (every[len(every) // 2 - 1] + every[len(every) // 2]) / 2
    listed = "; ".join(f"{name} {min(one):.0f} to {max(one):.0f} %" for name, one in savings.items() if one)
    inside = every[0] <= claim.stated <= every[-1]
    verdict: Verdict = "holds" if all(claim.near(one) for one in every) else "one of" if inside else "wrong"
    why = f"by zone it is {listed}, {middle:.0f} % in the middle; where it is 0 there is none to be had"
    return claim.told(middle, verdict, why, ("least", every[0], "%"), ("most", every[-1], "%"))


def reserved(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """A commitment that has a price on both sides."""
    machine = claim.inputs["machine"]
    dear, term = price_of(snapshot, claim, machine, LIST), price_of(snapshot, claim, machine, claim.inputs["committed"])
    for one in (dear, term):
        if isinstance(one, str):
            return _unpriced(claim, one)
    assert isinstance(dear, Price)
    assert isinstance(term, Price)
    found = (1 - term.usd / dear.usd) * HUNDRED
    why = (
        f"{machine} in {claim.inputs['region']}: ${term.usd}/h for three years against a list price of ${dear.usd}; "
        "it depends on the machine and on the term"
    )
    return claim.judged(found, "depends" if found > claim.stated else "wrong", why)


def serverless(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """A rented GPU costs 1 all day, a serverless one premium x the share of the day in which it works."""
    premium = claim.number("premium")
    rows = []
    for seconds in claim.numbers("gpuSeconds"):
        busy = claim.number("requestsPerDay") * seconds / SECONDS_PER_DAY
        rows.append((seconds, busy, (1 - premium * busy / math.ceil(busy)) * HUNDRED if busy <= 1 else None))
    best = max(((saved, seconds) for seconds, _, saved in rows if saved is not None), default=None)
    holds = [saved is not None and saved >= claim.stated * (1 - claim.tolerance) for _, _, saved in rows]
    told = "; ".join(
        f"{seconds} GPU-s a request are {busy * 24:.1f} GPU-h a day, "
        + (
            f"{busy:.0%} of a GPU: saves {saved:.0f} %"
            if saved is not None
            else f"{busy:.2f} GPUs all day: saves nothing"
        )
        for seconds, busy, saved in rows
    )
    share = 1 - claim.stated / HUNDRED
    why = f"{told}. It saves {claim.stated:.0f} % where premium x duty is {share:.2f}, whatever the number of requests"
    verdict: Verdict = "holds" if all(holds) else "depends" if any(holds) else "wrong"
    figures = [(f"GPUs at {seconds} GPU-s", busy, "GPUs") for seconds, busy, _ in rows]
    return claim.told(best[0] if best else Decimal(0), verdict, why, *figures)


def fits(claim: Claim, snapshot: Snapshot, today: date) -> Audited:
    """GPUs that the weights alone need, and those that an engine can split the model over with room for a request."""
    from cost import models
    from cost.capacity import layout
    from cost.hardware import gpus
    from cost.scenario_options import ModelShape
    from infra import fit

    name, gpu = claim.inputs["model"], gpus()[claim.inputs["gpu"]]
    shape = models.shape(name)

    def weights(dtype: str) -> Decimal:
        return Decimal(fit.checkpoint_bytes(shape, dtype)) / 10**9

    def needs(dtype: str) -> tuple[int, int | None]:
        alone = math.ceil(weights(dtype) / Decimal(repr(gpu.memory_gb)))
        small = ModelShape.model_validate(
            {"name": name, "dtype": dtype, "contextTokens": min(2048, shape.max_positions), "concurrency": 1}
        )
        for size in fit.tensor_parallel_sizes(shape, 64):
            found = layout(small, 2048, gpu.memory_mib, size)
            if found.fits and found.unit_nodes == 1 and found.tensor_parallel == size:
                return alone, size
        return alone, None

    dtype, smaller = claim.inputs["dtype"], claim.inputs["smaller"]
    alone, split = needs(dtype)
    needed = Decimal(split or alone)
    _, small_split = needs(smaller)
    have = claim.stated * Decimal(repr(gpu.memory_gb))
    enough = small_split is not None and small_split <= claim.stated
    why = (
        f"the weights are {weights(dtype):.0f} GB and {claim.stated:.0f} x {gpu.name} have {have:.0f}: {alone} "
        f"for the weights alone, {needed:.0f} to run; in {smaller} they are {weights(smaller):.0f} GB and "
        + (f"{small_split} {'is' if small_split == 1 else 'are'} enough" if enough else f"{small_split} are needed")
    )
    return claim.told(
        needed, "holds" if needed <= claim.stated else "wrong", why, ("weights", weights(dtype), "GB"),
        ("GPUs for the weights alone", Decimal(alone), "GPUs"),
    )  # fmt: skip


CHECKS: Final[dict[str, Check]] = {
    "a-api-price": api_price,
    "b-two-years": two_years,
    "b-electricity": electricity,
    "c-cloud": cloud_year,
    "c-local-wins": local_wins,
    "d-on-demand": on_demand,
    "d-spot": spot,
    "e-cluster": cluster,
    "f-gp3": volumes,
    "g-spot": spot_saving,
    "g-reserved": reserved,
    "g-serverless": serverless,
    "h-70b": fits,
    "h-175b": fits,
}
