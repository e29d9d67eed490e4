"""The sections of a region's stack file, as frozen pydantic models; keys are camelCase in the file, snake_case here.

Strict: a number in quotes is not a number, `yes` is not true, an unknown key is a fault. Only what one value can say
for itself is checked here (type, range, format); what values say together is in `infra/checks.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

T = TypeVar("T")

WORDS: Final[dict[str, str]] = {}
"""What each pattern means in words, for error lines; filled by `text`."""


class Section(BaseModel):
    """Base of everything in a stack file."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        defer_build=True,
    )


def text(pattern: str, words: str) -> Any:
    """A Field for a text of a fixed form; `words` tells the form in an error line.

    Raises ValueError for a pattern that has other words already: error lines look the words up by the pattern.
    """
    if WORDS.setdefault(pattern, words) != words:
        raise ValueError(f"{pattern} means {WORDS[pattern]!r} already, not {words!r}")
    return Field(pattern=pattern)


def _as_tuple(value: Any) -> Any:
    # Strict mode takes no list for a tuple, and YAML knows no tuples. Sets stay refused: they have no order.
    return tuple(value) if isinstance(value, list) else value


Listed = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]

Word = Annotated[str, text(r"^[a-z][a-z0-9-]{0,31}$", "a lower-case word of letters, digits and hyphens")]
# https://docs.aws.amazon.com/IAM/latest/UserGuide/console-account-id.html
AccountId = Annotated[str, text(r"^[0-9]{12}$", "a 12-digit AWS account id in quotes")]
AwsRegionName = Annotated[str, text(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "an AWS region such as us-east-1")]
ZoneName = Annotated[
    str, text(r"^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", "an availability zone of the region such as us-east-1a")
]
ModelName = Annotated[
    str, text(r"^[a-z0-9][a-z0-9._-]{0,95}$", "a model name in lower case: letters, digits, dots, hyphens")
]
Revision = Annotated[
    str, text(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "a commit hash or a word of letters, digits, dots, hyphens")
]
MachineName = Annotated[str, text(r"^[A-Za-z0-9._-]{1,64}$", "a machine type such as p5.48xlarge")]
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservationTarget.html
ReservationId = Annotated[str, text(r"^cr-([0-9a-f]{8}|[0-9a-f]{17})$", "a reservation id: cr- and 17 hex digits")]
ImageId = Annotated[str, text(r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$", "an image id: ami- and 17 hex digits")]
ImageFamily = Annotated[str, text(r"^[a-z][a-z0-9-]{1,62}$", "an image family: lower-case letters, digits, hyphens")]
ImageVersion = Annotated[
    str, text(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$", 'an image version in quotes such as "2026.11.1"')
]
HostName = Annotated[
    str,
    text(
        r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        "a full host name in lower case such as llm.example.com",
    ),
]
# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html (Name)
SecretName = Annotated[
    str,
    # The prefix keeps the instance role narrow, and a value pasted here by mistake is refused.
    text(
        r"^spillway/[A-Za-z0-9/_+=.@-]{1,500}$",
        "the name of a secret, never its value: spillway/ and up to 500 letters, digits and /_+=.@-",
    ),
]
PolicyName = Annotated[
    str, text(r"^[A-Za-z0-9_+=,.@-]{1,128}$", "the name of a managed policy: up to 128 letters, digits and _+=,.@-")
]
Email = Annotated[
    str,
    text(
        r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$",
        "an email address",
    ),
]
Cidr = Annotated[
    str,
    text(
        r"^([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}$",
        "an IPv4 network in CIDR form such as 10.16.0.0/16",
    ),
]
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (naming limits)
TagKey = Annotated[
    str,
    text(r"^[A-Za-z0-9 _.:/=+@-]{1,128}$", "a tag key of up to 128 letters, digits, spaces and _.:/=+-@"),
]
TagValue = Annotated[
    str,
    text(r"^[A-Za-z0-9 _.:/=+@-]{0,256}$", "a tag value in text: up to 256 letters, digits, spaces and _.:/=+-@"),
]


class Architecture(Section):
    """What a model's memory depends on, in the words of its Hugging Face config.json."""

    params_billion: float = Field(gt=0, le=10_000, examples=[70.55])
    """All parameters that are loaded, in 1e9, including every expert."""
    layers: int = Field(ge=1, le=1000, examples=[80])
    """num_hidden_layers."""
    hidden_size: int = Field(ge=64, le=131_072, examples=[8192])
    """hidden_size."""
    attention_heads: int = Field(ge=1, le=1024, examples=[64])
    """num_attention_heads; tensor parallelism has to divide it."""
    kv_heads: int = Field(ge=1, le=1024, examples=[8])
    """num_key_value_heads; the same as attentionHeads where there is no grouping."""
    head_dim: int = Field(ge=8, le=2048, examples=[128])
    """head_dim, or hidden_size / num_attention_heads."""
    vocab_size: int = Field(ge=2, le=10_000_000, examples=[128_256])
    """vocab_size; embeddings stay in 16 bits when the rest is quantised."""
    tied_embeddings: bool = False
    """tie_word_embeddings: input and output embedding are one matrix."""
    max_positions: int = Field(ge=1, le=100_000_000, examples=[131_072])
    """max_position_embeddings: the longest sequence the model was made for."""
    kv_lora_rank: int | None = Field(default=None, ge=1, le=65_536, examples=[512])
    """kv_lora_rank of multi-head latent attention (DeepSeek); null for ordinary attention."""
    qk_rope_head_dim: int | None = Field(default=None, ge=1, le=65_536, examples=[64])
    """qk_rope_head_dim of multi-head latent attention."""
    q_lora_rank: int | None = Field(default=None, ge=1, le=65_536, examples=[1536])
    """q_lora_rank of multi-head latent attention."""


class Fit(Section):
    """The load that must fit into GPU memory at the same time."""

    context_tokens: int = Field(ge=1, le=100_000_000, examples=[8192])
    """Prompt and answer of one sequence, in tokens."""
    concurrency: int = Field(ge=1, le=100_000, examples=[32])
    """Sequences of that length held at once by one replica."""


Dtype = Literal["bfloat16", "float16", "fp8", "int8", "fp4", "int4"]
Quantization = Literal["fp8", "awq", "gptq", "bitsandbytes", "compressed-tensors", "modelopt", "modelopt_fp4"]


class ModelSpec(Section):
    """What is served, and how it is spread over the GPUs of one node."""

    name: ModelName = Field(examples=["deepseek-r1-distill-llama-70b"])
    """A model of infra/data/models.yaml, or any name together with `architecture`; a folder of the model bucket."""
    revision: Revision = Field(examples=["b1c0b44b4369b597ad119a196caf79a9c40e141e"])
    """Revision of the weights; the second folder of models/<name>/<revision>/ in the model bucket."""
    dtype: Dtype = Field(default="bfloat16")
    """What the weights are stored in on the GPU."""
    quantization: Quantization | None = None
    """vLLM's quantization method; null when the checkpoint's own config.json says it or nothing is quantised."""
    kv_cache_dtype: Literal["auto", "fp8"] = "auto"
    """vLLM's --kv-cache-dtype: auto is 16 bits, fp8 halves the cache."""
    tensor_parallel: int = Field(default=8, ge=1, le=64)
    """GPUs that share every layer; has to divide the attention heads."""
    pipeline_parallel: int = Field(default=1, ge=1, le=64)
    """Groups of GPUs that hold consecutive layers."""
    max_model_len: int = Field(ge=16, le=100_000_000, examples=[32_768])
    """Longest sequence accepted, in tokens (vLLM's --max-model-len)."""
    max_num_seqs: int = Field(default=128, ge=1, le=8192)
    """Most sequences in one batch (vLLM's --max-num-seqs)."""
    gpu_memory_utilization: float = Field(default=0.9, ge=0.3, le=0.98)
    """Share of each GPU's memory that vLLM may use."""
    fit: Fit | None = None
    """The load to prove against GPU memory; null takes maxModelLen times maxNumSeqs, the worst case."""
    load_format: Literal["stage", "stream"] = "stage"
    """stage: weights are copied to the node's disks before the engine starts; stream: the engine reads them from the
    model store by itself (Run:ai streamer), on AWS, Azure and Google Cloud."""
    architecture: Architecture | None = None
    """For a model that is not in infra/data/models.yaml."""

    @property
    def engine_dtype(self) -> str:
        """vLLM's --dtype: the type that is computed in; `auto` follows the checkpoint of quantised weights."""
        return self.dtype if self.dtype in ("bfloat16", "float16") else "auto"

    @property
    def load(self) -> Fit:
        """The load that has to fit: the stated one, or the worst case that the engine would accept."""
        return self.fit or Fit.model_construct(context_tokens=self.max_model_len, concurrency=self.max_num_seqs)


# Each block is a group of its own, whose two metrics come on top of the fallback alarm's five; an alarm takes ten:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html
MAX_CAPACITY_BLOCKS: Final = 2


class Reservations(Section):
    """Capacity already paid for, used by the on-demand pool."""

    capacity_reservations: Listed[ReservationId] = Field(default=(), max_length=50)
    """On-demand capacity reservations by id."""
    capacity_blocks: Listed[ReservationId] = Field(default=(), max_length=MAX_CAPACITY_BLOCKS)
    """Capacity blocks for ML by the id of their reservation."""
    preference: Literal["open", "only", "none"] = "open"
    """open: these first, then ordinary on-demand; only: nothing else; none: leave reservations to others."""


class PoolSizes(Section):
    """The spot pool and the on-demand pool of the region, counted in replicas (one node each)."""

    types: Listed[MachineName] = Field(min_length=1, max_length=40, examples=[["p4d.24xlarge", "p5.48xlarge"]])
    """Machine types of the spot pool; three or more make capacity far easier to find."""
    on_demand_types: Listed[MachineName] | None = Field(default=None, min_length=1, max_length=40)
    """Machine types of the on-demand pool in order of preference; null takes `types`."""
    target: int = Field(ge=0, le=500, examples=[2])
    """Replicas wanted."""
    floor: int = Field(default=0, ge=0, le=500)
    """How many of the target are always on-demand."""
    max: int = Field(ge=1, le=500, examples=[6])
    """Most replicas of either pool, however high the load."""
    nodes_per_replica: int = Field(default=1, ge=1, le=64)
    """Nodes that hold one model together; 1 in this release."""


class Pools(PoolSizes):
    """The spot pool and the on-demand pool of the region, counted in replicas (one node each)."""

    reservations: Reservations = Field(default_factory=Reservations.model_construct)


class Fallback(Section):
    """When on-demand stands in for missing spot, and when it goes again; minutes."""

    out_minutes: int = Field(default=2, ge=1, le=60)
    """A gap this long buys on-demand."""
    in_minutes: int = Field(default=12, ge=2, le=240)
    """A surplus this long gives one on-demand node back."""
    boot_minutes: int = Field(default=20, ge=1, le=110)
    """From launch to ready: image, weights, engine start. A node in this time counts as coming, not as missing."""
    dry_run: bool = False
    """Decide and tell, but set nothing: the pools keep the sizes that they have."""


class Scaling(Section):
    """How the target follows the load."""

    signal: Literal["queue", "cpu", "none"] = "queue"
    """queue: waiting requests per replica; cpu: average CPU of the pool; none: the target stays."""
    queue_per_replica: float = Field(default=20, gt=0, le=100_000)
    """Waiting requests per replica from which on replicas are added."""
    queue_minutes: int = Field(default=3, ge=1, le=60)
    """Minutes above queuePerReplica before replicas are added."""
    cpu_percent: float = Field(default=65, gt=0, le=100)
    """Average CPU in percent from which on replicas are added."""
    cpu_minutes: int = Field(default=5, ge=1, le=60)
    """Minutes at or above cpuPercent before replicas are added."""
    step: int = Field(default=2, ge=1, le=100)
    """Replicas added at once."""
    cooldown_seconds: int = Field(default=300, ge=0, le=7200)
    """Seconds after a step in which no further step is taken."""
    in_queue_per_replica: float = Field(default=2, ge=0, le=100_000)
    """Waiting requests per replica below which a replica is taken away."""
    in_cpu_percent: float = Field(default=30, ge=0, le=100)
    """Average CPU in percent below which a replica is taken away."""
    in_minutes: int = Field(default=30, ge=1, le=240)
    """Minutes below the lower mark before a replica is taken away."""
    in_step: int = Field(default=1, ge=1, le=100)
    """Replicas taken away at once."""


class NetworkBase(Section):
    """The region's own network."""

    cidr: Cidr = Field(examples=["10.16.0.0/16"])
    """Private network, /16 to /24; must not overlap with any other stack's."""
    clients: Listed[Cidr] = Field(default=("0.0.0.0/0",), min_length=1, max_length=60)
    """Networks that may reach the endpoint on TCP 443."""
    checkers: Listed[Literal["route53", "cloudflare", "traffic-manager"]] = Field(default=("route53",), max_length=3)
    """Whose health checks are let in as well, where clients leaves them out."""
    monitoring: Listed[Cidr] = Field(default=(), max_length=20)
    """Private networks from which Prometheus may read the nodes' metrics, on TCP 9443 of each node; none by default."""
    zones: Listed[str] | None = Field(default=None, min_length=1, max_length=8)
    """Availability zones; null takes every zone that offers one of the machine types."""


class Network(NetworkBase):
    """The region's own network."""

    checkers: Listed[Literal["route53", "cloudflare"]] = Field(default=("route53",), max_length=2)
    """Whose health checks are let in as well, where clients leaves them out."""
    zones: Listed[ZoneName] | None = Field(default=None, min_length=1, max_length=8)
    """Availability zones; null takes every zone that offers one of the machine types."""
    egress: Literal["nat", "nat-per-zone", "endpoints"] = "nat"
    """How private nodes reach the cloud's own services: one NAT gateway, one per zone, or interface endpoints only."""


class Disk(Section):
    """An encrypted gp3 volume. Ranges: https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html"""

    size_gib: int = Field(ge=1, le=65_536)
    """Size in GiB."""
    iops: int = Field(default=3000, ge=3000, le=80_000)
    """Provisioned IOPS; at most 500 per GiB."""
    throughput_mbps: int = Field(default=125, ge=125, le=2000)
    """Provisioned throughput in MiB/s; at most 0.25 per IOPS."""


class RootDisk(Disk):
    """The volume with the operating system."""

    size_gib: int = Field(default=200, ge=40, le=65_536)
    """Size in GiB; the image with driver, CUDA and vLLM needs 40."""
    iops: int = Field(default=3000, ge=3000, le=80_000)
    """Provisioned IOPS; at most 500 per GiB."""
    throughput_mbps: int = Field(default=250, ge=125, le=2000)
    """Provisioned throughput in MiB/s; at most 0.25 per IOPS."""


class DataDisk(Disk):
    """The volume that holds weights where there is no NVMe, and caches elsewhere."""

    size_gib: int = Field(default=1000, ge=32, le=65_536)
    """Size in GiB."""
    iops: int = Field(default=16_000, ge=3000, le=80_000)
    """Provisioned IOPS; at most 500 per GiB."""
    throughput_mbps: int = Field(default=1000, ge=125, le=2000)
    """Provisioned throughput in MiB/s; at most 0.25 per IOPS."""


class Storage(Section):
    """The volumes of each node."""

    root: RootDisk = Field(default_factory=RootDisk.model_construct)
    data: DataDisk = Field(default_factory=DataDisk.model_construct)


class Image(Section):
    """The baked machine image: by family and version, by id, or (only when asked for) the newest of a family."""

    family: ImageFamily | None = Field(default=None, examples=["spillway-vllm"])
    """Image family, found by tag."""
    version: ImageVersion | None = Field(default=None, examples=["2026.11.1"])
    """Pinned version of the family, so that a bake elsewhere changes no plan."""
    id: ImageId | None = Field(default=None, examples=["ami-0123456789abcdef0"])
    """One image by id instead of family and version."""
    newest: bool = False
    """Take the newest image of the family; every plan may then change by itself."""


class Node(Section):
    """A node's last two minutes and first half hour."""

    notice_seconds: int = Field(default=120, ge=30, le=120)
    """How long before an interruption the cloud says so; AWS gives 120 s at best."""
    drain_seconds: int = Field(default=90, ge=1, le=110)
    """Longest time that requests in flight get to finish."""
    deregister_seconds: int = Field(default=15, ge=0, le=60)
    """From unready until no balancer sends new requests."""
    grace_period_minutes: int = Field(default=30, ge=2, le=120)
    """A node that is not ready after this is given up; longer than fallback.bootMinutes."""


class AwsNode(Node):
    """A node's last two minutes and first half hour, and the most that its role may ever do."""

    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html (PolicyName)
    permissions_boundary: PolicyName | None = Field(default=None, examples=["spillway-ci-aws-node"])
    """A managed policy of the account that bounds the node's role; pipelines may make no role without theirs."""


class Limits(Section):
    """Beyond these a node calls itself unready and gets no new requests."""

    queue: int = Field(default=100, ge=1, le=1_000_000)
    """Requests waiting in the engine."""
    ttft_p50_ms: int = Field(default=10_000, ge=1, le=600_000)
    """Median time to the first token, in milliseconds."""
    error_rate: float = Field(default=0.05, gt=0, le=1)
    """Share of requests answered with 5xx."""


class LogsBase(Section):
    """Access and audit logs of the nodes, in the cloud's own log service; never prompts, answers or keys."""

    ship: bool = True
    """Whether they leave the nodes; otherwise they stay in each node's journal, and end with it."""
    # They hold addresses of clients, which are personal data in many places.
    retention_days: int = Field(default=30, ge=1, le=3650)
    """Days for which the log service keeps them."""


class Logs(LogsBase):
    """Access and audit logs of the nodes, in CloudWatch Logs; never prompts, answers or keys."""

    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
    retention_days: Literal[
        1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
    ] = 30
    """Days for which the log service keeps them; CloudWatch Logs knows these numbers only."""


class Service(Section):
    """What clients call."""

    name: HostName = Field(examples=["llm.example.com"])
    """Host name in the certificate and in TLS SNI; the same in all regions."""


class SecretNames(Section):
    """Names of secrets; the stack creates them empty, `spillway secrets push` fills them."""

    certificate: SecretName = Field(examples=["spillway/aws-us-east-1/certificate"])
    """TLS certificate chain and key of the service name."""
    api_keys: SecretName = Field(examples=["spillway/aws-us-east-1/api-keys"])
    """API keys that clients present."""


class Budget(Section):
    """A monthly budget with alerts."""

    monthly_usd: int = Field(ge=1, le=100_000_000, examples=[60_000])
    """US dollars per month for everything that carries this stack's tag."""
    emails: Listed[Email] = Field(min_length=1, max_length=10, examples=[["platform@example.com"]])
    """Who is told; AWS takes ten addresses per alert."""
