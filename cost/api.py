"""What requests to an API cost: by the shape of a request, at an hour, from the price data of `genai-prices`.

    shape = RequestShape(input_tokens=3_000, output_tokens=1_000, cache_hit=Decimal("0.4"))
    request("deepseek-v4-flash", "deepseek", shape, at).usd     # of one request
    mean("deepseek-v4-flash", "deepseek", shape, day, profile)  # over a day's hours

Prices go by the request, not by the million of tokens: some models cost twice as much above a context length, cache
reads cost a tenth or less, and DeepSeek doubles its prices by the hour (UTC). The data lie in the package at the
version that uv.lock pins, with their history; no network is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelPrice

HOURS: Final = 24
MILLION: Final = Decimal(1_000_000)
PACKAGE: Final = "genai-prices"
ADDRESS: Final = "https://github.com/pydantic/genai-prices"
LICENCE: Final = "MIT"
MAX_TOKENS: Final = 100_000_000
"""Above any context window: what is longer is a slip of the decimal point."""


class NoPrice(SpillwayError):
    """A model that the package knows and has no price of: unpriced, which is not free."""


@dataclass(frozen=True, slots=True)
class RequestShape:
    """One request. cache_hit: share of its input tokens that are read from the provider's cache, 0 to 1."""

    input_tokens: int
    output_tokens: int
    cache_hit: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name, value in (("input tokens", self.input_tokens), ("output tokens", self.output_tokens)):
            if not 0 <= value <= MAX_TOKENS:
                raise SpillwayError(f"a request with {value:,} {name}; 0 to {MAX_TOKENS:,} are allowed")
        if not self.cache_hit.is_finite() or not 0 <= self.cache_hit <= 1:
            raise SpillwayError(f"a cache-hit share of {self.cache_hit}; 0 to 1 is allowed")

    @property
    def cached_tokens(self) -> int:
        """Input tokens from the cache: whole ones, as they are billed."""
        return int((self.input_tokens * self.cache_hit).quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class ApiPrice:
    """One request at one time. usd: input and output together; cached input is in input_usd."""

    provider: str
    model: str
    at: datetime
    usd: Decimal
    input_usd: Decimal
    output_usd: Decimal
    source: str


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens at a time, of a short request. cache_read: None where the model has no such price."""

    provider: str
    model: str
    at: datetime
    input: Decimal
    output: Decimal
    cache_read: Decimal | None
    tiers: tuple[int, ...]
    """Input tokens of a request above which it has other prices."""
    source: str


@lru_cache(maxsize=1)
def source() -> str:
    """Package, version and address."""
    from importlib.metadata import version

    return f"{PACKAGE} {version(PACKAGE)}, {ADDRESS}"


def providers() -> list[str]:
    """The ids of all providers that have prices."""
    return sorted(provider.id for provider in data().providers)


def models(provider: str) -> list[str]:
    """The ids of a provider's models. Raises SpillwayError for an unknown one."""
    from infra.faults import did_you_mean

    for one in data().providers:
        if one.id == provider:
            return sorted(model.id for model in one.models)
    raise SpillwayError(f"API provider {provider}: {PACKAGE} has no such provider{did_you_mean(provider, providers())}")


def request(model: str, provider: str, shape: RequestShape, at: datetime) -> ApiPrice:
    """What one request costs. at: with an offset; the provider's hours count in UTC.

    Raises NoPrice where the package has no price of the model, SpillwayError for what it does not know.
    """
    from genai_prices import Usage, calc_price

    if at.tzinfo is None:
        raise SpillwayError(f"{at.isoformat()}: a time without an offset has no hour of the provider's")
    usage = Usage(
        input_tokens=shape.input_tokens, output_tokens=shape.output_tokens, cache_read_tokens=shape.cached_tokens
    )
    try:
        found = calc_price(usage, model, provider_id=provider, genai_request_timestamp=at.astimezone(UTC))
    except LookupError:
        raise _unknown(model, provider) from None
    except ValueError as error:
        raise SpillwayError(f"{provider} {model}: {PACKAGE} cannot price the request: {error}") from None
    if not _per_token(found.model_price):  # the package sums up what is priced, and nothing comes to 0
        raise NoPrice(f"{provider} {model}: {PACKAGE} knows it and has no price per token of it")
    return ApiPrice(
        found.provider.id, found.model.id, at, found.total_price, found.input_price, found.output_price, source()
    )


def by_hour(model: str, provider: str, shape: RequestShape, day: date) -> tuple[ApiPrice, ...]:
    """One request in the middle of each hour of a UTC day. Raises SpillwayError."""
    return tuple(request(model, provider, shape, datetime.combine(day, time(hour, 30), UTC)) for hour in range(HOURS))


def mean(
    model: str, provider: str, shape: RequestShape, day: date, profile: Sequence[Decimal] | None = None
) -> Decimal:
    """USD per request over a day. profile: 24 weights, hour by hour in UTC; all alike unless given.

    Raises SpillwayError.
    """
    weights = [Decimal(1)] * HOURS if profile is None else list(profile)
    if len(weights) != HOURS or any(not weight.is_finite() or weight < 0 for weight in weights) or not sum(weights):
        raise SpillwayError(
            f"an hourly profile of {len(weights)} weights; {HOURS} from 0 with a sum above 0 are allowed"
        )
    hours = by_hour(model, provider, shape, day)
    weighed = sum((one.usd * weight for one, weight in zip(hours, weights, strict=True)), Decimal(0))
    return weighed / sum(weights)


def rates(model: str, provider: str, at: datetime) -> Rates:
    """The list prices at a time, for tables. Raises SpillwayError."""
    thousand = 1_000
    one = request(model, provider, RequestShape(thousand, thousand), at)
    cached = request(model, provider, RequestShape(thousand, 0, Decimal(1)), at)
    scale = MILLION / thousand
    read = cached.input_usd * scale
    known, tiers = _tiers(model, provider, at)
    return Rates(
        one.provider, one.model, at, one.input_usd * scale, one.output_usd * scale, read if known else None, tiers,
        one.source,
    )  # fmt: skip


def _tiers(model: str, provider: str, at: datetime) -> tuple[bool, tuple[int, ...]]:
    """Whether cache reads have a price, and where tiers of input begin."""
    from genai_prices.types import TieredPrices

    _, info = data().find_provider_model(model, None, provider, None)
    price = info.get_prices(at.astimezone(UTC))
    steps: set[int] = set()
    for name in ("input_mtok", "cache_read_mtok", "output_mtok"):
        if isinstance(value := getattr(price, name, None), TieredPrices):
            steps |= {tier.start for tier in value.tiers}
    return getattr(price, "cache_read_mtok", None) is not None, tuple(sorted(steps))


def _per_token(price: ModelPrice) -> bool:
    return any(getattr(price, name, None) is not None for name in ("input_mtok", "output_mtok"))


def _unknown(model: str, provider: str) -> SpillwayError:
    from infra.faults import did_you_mean

    known = models(provider)
    return SpillwayError(
        f"API model {model}: {PACKAGE} has none of {provider} that is called so{did_you_mean(model, known)}"
    )


def data() -> DataSnapshot:
    """The package's own data."""
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot()
