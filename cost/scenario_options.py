"""The options of a scenario file, one model for each `kind`, and the blocks that they share.

Numbers carry their unit; a default of the model carries its source, which the report lists as an assumption.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from infra.sections import Dtype, MachineName, ModelName, Section, Word, text

Market = Literal[
    "on-demand", "spot", "reserved-1y", "reserved-3y", "reserved-1y-upfront", "reserved-3y-upfront",
    "savings-1y", "savings-3y", "calendar", "capacity-block", "list", "blend",
]  # fmt: skip
Latency = Literal["offline", "server", "interactive"]
Name = Annotated[str, text(r"^[a-z0-9][a-z0-9._:/@-]{0,127}$", "a name in lower case: letters, digits and ._:/@-")]
Place = Annotated[str, text(r"^[a-z][a-z0-9-]{1,31}$", "a region of the provider such as us-east-1")]
ShortText = Annotated[str, text(r"^[^\n]{1,400}$", "a line of up to 400 characters")]


def number(unit: str, source: str = "", *, least: float = 0, most: float, above: bool = False, **more: Any) -> Any:
    """A Field for a number of a unit. source: of its default. above: `least` itself is not allowed."""
    bounds: dict[str, Any] = {"gt" if above else "ge": least, "le": most}
    return Field(**bounds, **more, json_schema_extra={"unit": unit, "source": source})


def share(source: str = "", **more: Any) -> Any:
    """A Field for a share, 0 to 1."""
    return number("share", source, most=1, **more)


class ThroughputSpec(Section):
    """How many tokens a GPU does: a published anchor, a measured record, or a number; one of the three."""

    anchor: Name | None = None
    """Id of a published figure in cost/data/anchors.yaml."""
    record: ShortText | None = None
    """A measurement: name of a file in cost/data/throughput without .json, or a path."""
    series: ShortText | None = None
    """With a record of several models: part of the model's name."""
    concurrency: int | None = Field(default=None, ge=1, le=100_000)
    """With a record: the point that counts; null takes the best that the latency class allows."""
    tokens_per_second_per_gpu: float | None = number("tokens/s", most=1e7, above=True, default=None)
    """A number of your own, in `metric`."""
    metric: Literal["output", "total"] = "output"
    """What the number counts: output tokens only, or input and output."""
    derate: float = number("share", least=0.01, most=1)
    """Realised share of the figure, to be said: 0.3 to 0.6 of a tuned anchor is usual, 1 of a measurement of one's own
    deployment."""


class ModelShape(Section):
    """What is served."""

    name: ModelName
    """A model that `spillway catalog --models` lists, or one of cost/data/models.yaml."""
    dtype: Dtype = "bfloat16"
    """What the weights are stored in on the GPU."""
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    """auto is 16 bits, fp8 halves the cache."""
    context_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    """Prompt and answer of one sequence; null: those of the workload's requests."""
    concurrency: int = Field(default=32, ge=1, le=100_000)
    """Sequences of that length that one replica has to hold at once."""
    gpu_memory_utilization: float = Field(default=0.9, ge=0.3, le=0.98)
    """Share of each GPU's memory that the engine may use."""


class Disk(Section):
    """A network volume of a node."""

    size_gib: float = number("GiB", most=65_536, above=True)
    """Size."""
    iops: float = number("IOPS", most=400_000, default=3000)
    """Input and output operations per second that are paid for; the first 3,000 are free where the cloud says so."""
    throughput_mbps: float = number("MiB/s", most=10_000, default=125)
    """Throughput that is paid for; the first 125 are free where the cloud says so."""


class OptionBase(Section):
    """What every option has."""

    KIND: ClassVar[str]

    name: Word
    """Its name in tables and files; unique in the scenario."""
    title: ShortText | None = None
    """The same in a reader's words."""


class ApiOption(OptionBase):
    """Somebody else's model by the token."""

    KIND = "api"
    kind: Literal["api"]
    """api."""
    provider: Name
    """Provider as genai-prices calls it: openai, anthropic, deepseek ..."""
    model: Name
    """Model as genai-prices calls it."""
    discount: float = share("none agreed", default=0.0)
    """Share off the list price that is agreed with the provider."""
    price_factor: float = number("ratio", "the price as it is", most=100, default=1.0)
    """What the price is multiplied by, to ask what if; and what an uncertain price is drawn by."""


class OnPremOption(OptionBase):
    """Own hardware in a rack."""

    KIND = "onprem"
    kind: Literal["onprem"]
    """onprem."""
    system: Name
    """A system of cost/data/hardware.yaml such as hgx-h100."""
    throughput: ThroughputSpec
    nodes: int | None = Field(default=None, ge=1, le=10_000)
    """Systems bought; null buys what the busiest hour needs, when it is needed."""
    max_nodes: int = Field(default=64, ge=1, le=10_000)
    """Most systems that there is room for."""
    capex_per_node: float = number("USD", most=1e8, above=True)
    """Purchase price of a system, delivered."""
    life_years: float = number("years", "four years of straight line: usual for servers", least=1, most=15, default=4.0)
    """Until it is replaced."""
    residual_share: float = share("assumption", default=0.15)
    """Of the purchase price, what it is sold for after its life."""
    load_factor: float = share("assumption: MLPerf 5.1 walls show 0.63 to 0.73 of nameplate", default=0.75)
    """Mean power over nameplate power."""
    pue: float = number(
        "ratio", "Uptime Institute Global Data Center Survey 2025, weighted mean", least=1, most=5, default=1.54
    )
    """Power usage effectiveness: power of the building over power of the machines."""
    usd_per_kwh: float = number("USD/kWh", most=10, default=0.10, source="assumption")
    """Price of electricity."""
    colocation_usd_per_kw_month: float = number("USD/kW-month", "none: own building", most=10_000, default=0.0)
    """Rack space by nameplate power; 150 to 250 is usual in a colocation."""
    network_share: float = share("none", default=0.0)
    """Switches, optics and cables: share of the purchase price on top, without resale; 0.10 to 0.15 is usual."""
    support_share: float = share("assumption: about 5 % a year", default=0.05)
    """Support contract: share of the purchase price each year."""
    spares_share: float = share("none", default=0.0)
    """Spare parts: share of the purchase price each year."""
    staff_fte: float = number("FTE", "assumption", most=1000, default=0.25)
    """People who run it, whatever its size."""
    staff_fte_per_node: float = number("FTE", "none", most=10, default=0.0)
    """People on top of that for each system."""
    staff_usd_per_year: float = number("USD/year", "assumption: with overhead", most=5e6, default=250_000.0)
    """One of them, with overhead."""
    licences_usd_per_gpu_year: float = number("USD/year", "none: open source", most=1e6, default=0.0)
    """Software licences for each GPU."""
    sales_tax_share: float = share("none: recoverable", default=0.0)
    """Tax on the purchase that cannot be recovered."""
    property_tax_share: float = share("none", default=0.0)
    """Tax on what is owned: share of the purchase price each year."""
    insurance_share: float = share("none", default=0.0)
    """Insurance: share of the purchase price each year."""


class CloudOption(OptionBase):
    """Rented machines."""

    KIND = "cloud"
    kind: Literal["cloud"]
    """cloud."""
    provider: Literal["aws", "azure", "gcp", "tencent"]
    """Whose."""
    region: Place
    """Where."""
    machine: MachineName
    """Machine type; `spillway catalog` lists them."""
    market: Market
    """How it is bought. A commitment covers the nodes that are needed in every hour, the rest is on demand; blend is
    spot first with on-demand behind it, as Spillway's pools buy."""
    throughput: ThroughputSpec
    nodes: int | None = Field(default=None, ge=1, le=10_000)
    """Nodes held; null: what is needed."""
    max_nodes: int = Field(default=64, ge=1, le=10_000)
    """Most nodes that the quota allows."""
    scaling: Literal["peak", "hourly"] = "peak"
    """peak: nodes for the busiest hour all day; hourly: each hour has the nodes that it needs."""
    discount: float = share("none agreed", default=0.0)
    """Share off the price of machines that is agreed with the provider."""
    price_factor: float = number("ratio", "the price as it is", most=100, default=1.0)
    """What the price is multiplied by, to ask what if; and what an uncertain price is drawn by."""
    root: Disk = Field(default_factory=lambda: Disk.model_construct(size_gib=200.0, iops=3000.0, throughput_mbps=250.0))
    """The boot volume of a node."""
    data: Disk | None = None
    """The data volume of a node."""
    balancers: int = Field(default=1, ge=0, le=1000)
    """Load balancers."""
    nat_gateways: int = Field(default=1, ge=0, le=100)
    """NAT gateways."""
    addresses: int = Field(default=1, ge=0, le=1000)
    """Public IPv4 addresses of the balancers; on AWS one in each zone. NAT gateways have one of their own."""
    nat_gb: float = number("GB/month", "assumption: images, packages, telemetry", most=1e9, default=50.0)
    """What goes through them in a month."""
    health_checks: int = Field(default=2, ge=0, le=1000)
    """DNS health checks of the endpoint's addresses."""
    model_store_gib: float = number("GiB", "assumption", most=1e7, default=200.0)
    """Weights in the region's bucket."""
    snapshot_gib: float = number("GiB", "assumption: one image", most=1e7, default=100.0)
    """Snapshots of machine images."""
    answer_bytes_per_token: float = number(
        "bytes", "assumption: a chunk of a streamed OpenAI-style answer is about 250 bytes", most=1e6, default=250.0
    )
    """What leaves for the internet with each output token."""
    request_bytes_per_token: float = number("bytes", "about 4 characters", most=1e6, default=4.0)
    """What comes in with each input token; the balancer counts it, egress does not."""
    trace: ShortText | None = None
    """With market blend: the recorded trace; null takes the default of the rehearsal."""
    floor_nodes: int = Field(default=0, ge=0, le=1000)
    """With market blend: how many of the nodes are always on demand."""
    boot_minutes: float = number("minutes", "the stack files' default", least=0.1, most=110, default=20.0)
    """With market blend: from launch to ready."""
    percentile: float = share("the median month", default=0.5)
    """With market blend: which of the rehearsed months counts; 0.9 is a dear one."""


class ServerlessOption(OptionBase):
    """GPUs by the second, from none."""

    KIND = "serverless"
    kind: Literal["serverless"]
    """serverless."""
    provider: Name
    """Whose."""
    gpu: Name
    """A GPU of cost/data/hardware.yaml."""
    gpus: int = Field(default=1, ge=1, le=64)
    """GPUs of one instance."""
    usd_per_gpu_second: float = number("USD/s", most=10, above=True)
    """Price of a GPU and what comes with it, by the second."""
    price_factor: float = number("ratio", "the price as it is", most=100, default=1.0)
    """What the price is multiplied by, to ask what if; and what an uncertain price is drawn by."""
    throughput: ThroughputSpec
    request_seconds: float = number("s", most=86_400, above=True)
    """From a request's arrival at a warm instance to the end of its answer."""
    cold_start_seconds: float = number("s", most=7200, default=120.0, source="assumption: a 70B model from local disk")
    """From nothing to ready; paid."""
    idle_seconds: float = number("s", most=86_400, default=60.0, source="assumption: the scale-down delay")
    """An instance stays, and is paid, so long after its last request."""
    max_instances: int = Field(default=64, ge=1, le=10_000)
    """Most instances at once."""
    source: ShortText
    """Where the price is from."""
    observed: Annotated[str, text(r"^\d{4}-\d{2}-\d{2}$", 'a day in quotes such as "2026-11-01"')]
    """Of which day."""


AnyOption = ApiOption | OnPremOption | CloudOption | ServerlessOption
KINDS: Final[dict[str, type[ApiOption] | type[OnPremOption] | type[CloudOption] | type[ServerlessOption]]] = {
    one.KIND: one for one in (ApiOption, OnPremOption, CloudOption, ServerlessOption)
}
