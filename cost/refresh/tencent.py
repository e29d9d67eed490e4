"""Tencent Cloud's prices of machines: it tells them to an account only, one machine in one zone at a time.

InquiryPriceRunInstances: https://www.tencentcloud.com/document/product/213/33273. A pay-as-you-go price falls with the
hours of use: a second price holds from 96 hours on, a third from 360. `Discount` is what is paid, in percent: 20 is a
fifth of the price, not a fifth off. It is the account's own, so the list price is what is kept. The domestic site
answers in CNY and only the international one in USD, and a snapshot has one currency.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date as Date
from decimal import Decimal
from functools import partial
from typing import Any, Final

import httpx

from cost.prices.snapshot import ON_DEMAND, Price, Source, Unpriced
from cost.refresh import http
from cost.refresh.work import Busy, Found, Step
from images.programs.identity import Keys, tc3_headers
from spillway.errors import SpillwayError, WrongUsage

HOST: Final = "cvm.intl.tencentcloudapi.com"
VERSION: Final = "2017-03-12"
ACTION: Final = "InquiryPriceRunInstances"
IDS: Final = ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")
STEPS: Final = {"UnitPrice": 0, "UnitPriceSecondStep": 96, "UnitPriceThirdStep": 360}
"""Field of the list price -> from which hour of use it holds."""
SOURCE: Final = "tencent-inquiry"
THROTTLED: Final = ("RequestLimitExceeded", "InternalError", "InternalServerError")
NOT_SOLD: Final = ("InvalidInstanceType", "ResourceInsufficient", "ResourcesSoldOut", "InvalidParameterValue")
"""What an error's code begins with where the zone does not sell the machine: an answer like any other."""


class Tencent:
    """machines: instance types. zones: by region, such as {"ap-singapore": ("ap-singapore-1",)}. image: any image that
    every region has. transport, clock: in tests."""

    name = "tencent"

    def __init__(
        self,
        machines: Sequence[str],
        zones: Mapping[str, Sequence[str]],
        image: str,
        keys: Keys | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if keys is None:
            given = [os.environ.get(name, "") for name in IDS]
            if not all(given):
                raise WrongUsage(f"tencent: prices are told to an account only; give its keys in {' and '.join(IDS)}")
            keys = Keys(given[0], given[1], os.environ.get("TENCENTCLOUD_TOKEN", ""), float("inf"))
        self.machines, self.zones, self._image, self._keys, self._clock = (
            tuple(machines),
            dict(zones),
            image,
            keys,
            clock,
        )
        self._session = http.client(transport)

    def steps(self, answers: Mapping[str, Any]) -> list[Step]:
        """A question per machine and zone."""
        return [
            Step(f"{machine} {zone}", partial(self._ask, machine, region, zone))
            for region, zones in self.zones.items()
            for zone in zones
            for machine in self.machines
        ]

    def found(self, answers: Mapping[str, Any], observed: Date) -> Found:
        """The prices in the answers; the dearest zone's where zones differ."""
        rows: dict[tuple[str, str, Decimal], Price] = {}
        gaps: list[Unpriced] = []
        left_out: Counter[str] = Counter()
        region_of = {zone: region for region, zones in self.zones.items() for zone in zones}
        for key, answer in answers.items():
            machine, zone = key.split(" ")
            if "Error" in answer:
                left_out["not sold in the zone"] += 1
                continue
            price = (answer.get("Price") or {}).get("InstancePrice") or {}
            if price.get("ChargeUnit") != "HOUR" or not price.get("UnitPrice"):
                left_out["no price by the hour"] += 1
                continue
            for row in _tiers(price, machine, region_of[zone], observed):
                place = (row.region, row.sku, row.from_quantity)
                if place not in rows or rows[place].usd < row.usd:
                    rows[place] = row
        priced = {row.sku for row in rows.values()}
        for machine in self.machines:
            if machine not in priced:
                zones = sum(len(own) for own in self.zones.values())
                reason = f"Tencent had no price of it in {zones} zones that were asked"
                gaps.append(Unpriced(reason, self.name, "*", machine, "*"))
        source = Source(
            SOURCE, f"Tencent Cloud API, {ACTION} {VERSION}", f"https://{HOST}", "none needed: single facts, cited",
            "As it answered to one account on the day of each row; the tiers are hours of use.",
        )  # fmt: skip
        return Found({"tencent-machines.csv": tuple(rows.values())}, tuple(gaps), {SOURCE: source}, left_out)

    def replaces(self, row: Price) -> bool:
        """Rows of the last snapshot that this refresh has seen anew, or not at all any more."""
        return row.provider == self.name and row.sku in self.machines and row.region in self.zones

    def _ask(self, machine: str, region: str, zone: str) -> dict[str, Any]:
        body = json.dumps(
            {
                "Placement": {"Zone": zone}, "ImageId": self._image, "InstanceType": machine, "InstanceCount": 1,
                "InstanceChargeType": "POSTPAID_BY_HOUR",
            }
        ).encode()  # fmt: skip
        headers = tc3_headers(self._keys, "cvm", HOST, ACTION, VERSION, region, body, int(self._clock()))
        if not self._keys.token:
            del headers["X-TC-Token"]
        try:
            answer = self._session.post(f"https://{HOST}", content=body, headers=headers)
        except httpx.TransportError as error:
            raise Busy(f"out of reach: {' '.join(str(error).split()) or type(error).__name__}") from None
        told: dict[str, Any] = http.body(answer, self.name).get("Response") or {}
        if fault := told.get("Error"):
            code, text = str(fault.get("Code", "")), " ".join(str(fault.get("Message", "")).split())
            if code.startswith(THROTTLED):
                raise Busy(f"{code}: {text}")
            if not code.startswith(NOT_SOLD):
                raise SpillwayError(f"tencent: {machine} in {zone}: {code}: {text}")
        return told


def _tiers(price: Mapping[str, Any], machine: str, region: str, observed: Date) -> list[Price]:
    """The list price by hours of use. Raises SpillwayError for another currency."""
    currency = price.get("Currency", "USD")
    if currency != "USD":
        raise SpillwayError(f"tencent: a price in {currency}; the snapshot is in USD, as {HOST} answers")
    paid = Decimal(str(price.get("Discount") or 100))
    found: list[Price] = []
    for name, hours in STEPS.items():
        usd = Decimal(str(price.get(name) or 0))
        if not usd or (found and found[-1].usd == usd):
            continue
        flags = (f"discount: the account that asked pays {paid:f}% of it",) if paid != 100 else ()
        begin = Decimal(hours)
        found.append(
            Price("tencent", region, machine, "hour", usd, ON_DEMAND, None, observed, "", "", flags, begin, SOURCE)
        )
    return found
