"""What a node is told at boot: one typed object, the same on every cloud. It is in user data, so it holds no secret.

`infra/` fills it from the stack file; `images/render.py` writes it to /etc/spillway/node.json, which every program on
the node reads (weights, vLLM's unit, readiness gate, spot watcher).
"""

from __future__ import annotations

import ipaddress
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Cloud = Literal["aws", "azure", "gcp", "tencent"]
PoolName = Literal["spot", "on-demand", "capacity-block"]
MOST: Final = 10**9
DAY: Final = 86_400
"""Stack files have closer limits. These are for what is written by hand: JSON has whole numbers that no float holds,
and the programs reckon in floats."""


class Part(BaseModel):
    """Base: frozen, strict, closed; snake_case here, camelCase in node.json."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, allow_inf_nan=False
    )


class Model(Part):
    """What vLLM serves, in the words of its own options."""

    uri: str = Field(pattern=r"^(s3|gs|az|cos)://[^/]+/.+/$")
    """Folder of the weights, with `manifest.json` in it."""
    name: str
    revision: str
    dtype: str
    quantization: str | None
    kv_cache_dtype: Literal["auto", "fp8"]
    tensor_parallel: int = Field(ge=1, le=MOST)
    pipeline_parallel: int = Field(ge=1, le=MOST)
    max_model_len: int = Field(ge=1, le=MOST)
    """Tokens."""
    max_num_seqs: int = Field(ge=1, le=MOST)
    gpu_memory_utilization: float = Field(gt=0, le=1)
    load_format: Literal["stage", "stream"] = "stage"
    """stage: copied to scratch before the engine starts; stream: read from the store by the engine itself (Run:ai)."""


class Limits(Part):
    """Beyond these the readiness gate answers 503."""

    queue: int = Field(ge=1, le=MOST)
    ttft_p50_ms: int = Field(ge=1, le=MOST)
    error_rate: float = Field(gt=0, le=1)


class Drain(Part):
    """How the node spends its last seconds: unready, wait for the balancer, then let requests finish."""

    notice_seconds: int = Field(ge=1, le=DAY)
    """What the cloud gives between the interruption notice and the end."""
    deregister_seconds: int = Field(ge=0)
    drain_seconds: int = Field(ge=1)

    @model_validator(mode="after")
    def _fits_the_notice(self) -> Drain:
        spent = self.deregister_seconds + self.drain_seconds
        if spent > self.notice_seconds:
            raise ValueError(f"deregister + drain take {spent} s, the notice is {self.notice_seconds} s")
        return self


class Secrets(Part):
    """Names in the cloud's secret store; the node reads the values with its own identity."""

    certificate: str
    api_keys: str


class Hooks(Part):
    """Lifecycle hooks of the group that the node belongs to."""

    launching: str
    terminating: str


class Serving(Part):
    """The one port that faces the balancer, and the paths of the readiness gate."""

    name: str
    """Host name in certificate and SNI."""
    port: int = Field(default=443, ge=1, le=65535)
    probe_port: int | None = Field(default=None, ge=1, le=65535)
    """Where the readiness gate answers without TLS as well, for a balancer that cannot check through TLS, and whose
    probes alone reach it; None: nowhere."""
    ready_path: str = "/readyz"
    live_path: str = "/livez"

    @model_validator(mode="after")
    def _two_paths(self) -> Serving:
        if self.ready_path == self.live_path:
            raise ValueError(f"readyPath and livePath are both {self.ready_path}: one routes, the other replaces")
        return self


class Disks(Part):
    """Mount points made at boot: `scratch` is NVMe RAID0 (empty after a stop), `data` the persistent volume."""

    scratch: str = Field(default="/mnt/scratch", pattern=r"^(/[a-z0-9._-]+)+$")
    data: str = Field(default="/var/lib/spillway", pattern=r"^(/[a-z0-9._-]+)+$")


class Staging(Part):
    """How weights are copied; None: what images/programs/staging/parts.py finds for the machine."""

    connections: int | None = Field(default=None, ge=1, le=1024)
    """To the store, of all processes together."""
    part_mib: int | None = Field(default=None, ge=1, le=256)


class Logs(Part):
    """Where access and audit logs go beyond what images/programs/logs.py finds by itself: only Azure needs more.

    https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
    """

    endpoint: str | None = Field(default=None, pattern=r"^https://[a-z0-9.-]+\.ingest\.monitor\.azure\.com$")
    """Data collection endpoint."""
    rule: str | None = Field(default=None, pattern=r"^dcr-[0-9a-f]{32}$")
    """Immutable id of the data collection rule."""
    table: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,44}_CL$")
    identity: str = Field(default="system", pattern=r"^(system|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")
    """Client id of the node's user-assigned identity, where it has one."""


class Cluster(Part):
    """One of the nodes that hold one model together (a replica of several nodes)."""

    role: Literal["head", "worker"]
    """The head has the API, and is the one that is routed to."""
    rank: int = Field(ge=0)
    """0 is the head."""
    head_address: str
    """Private IP address: what nodes say to each other is not encrypted."""
    nodes: int = Field(ge=2, le=64)
    executor: Literal["ray", "native"] = "ray"
    """ray: Ray's processes run on all nodes, and vLLM on the head. native: vLLM on all of them (`--nnodes`)."""

    @model_validator(mode="after")
    def _one_head(self) -> Cluster:
        if (self.role == "head") != (self.rank == 0):
            raise ValueError(f"the {self.role} has rank {self.rank}; the head has 0, and a worker 1 or more")
        if self.rank >= self.nodes:
            raise ValueError(f"rank {self.rank} of {self.nodes} nodes, the last one is {self.nodes - 1}")
        try:
            private = ipaddress.ip_address(self.head_address).is_private
        except ValueError:
            raise ValueError(f"headAddress: {self.head_address!r} is no IP address") from None
        if not private:
            raise ValueError(f"headAddress: {self.head_address} is no private address")
        return self


class NodeConfig(Part):
    """Everything a node needs to know about itself."""

    schema_version: Literal[1] = 1
    cloud: Cloud
    region: str
    stack: str
    pool: PoolName
    group: str
    """The auto scaling group (scale set, instance group) by name."""
    hooks: Hooks | None = None
    """None where the cloud has no lifecycle hooks."""
    serving: Serving
    model: Model
    limits: Limits
    drain: Drain
    boot_minutes: int = Field(ge=1, le=DAY)
    """Time until ready in the ordinary case; the launch hook is kept alive by heartbeats after it."""
    secrets: Secrets
    metrics_namespace: str = "Spillway"
    disks: Disks = Disks()
    staging: Staging = Staging()
    logs: Logs | None = None
    """None: access and audit logs stay in the node's journal."""
    cluster: Cluster | None = None
    """None: the node is a replica by itself."""

    @model_validator(mode="after")
    def _gpus_divide(self) -> NodeConfig:
        gpus = self.model.tensor_parallel * self.model.pipeline_parallel
        if self.cluster and gpus % self.cluster.nodes:
            raise ValueError(f"cluster: {gpus} GPUs (tensor x pipeline parallel) over {self.cluster.nodes} nodes")
        return self
