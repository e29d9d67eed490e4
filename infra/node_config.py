"""What a node is told, from the stack file of any cloud; the clouds add where weights and secrets lie. No SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from images import node as image_node

if TYPE_CHECKING:
    from infra.config import RegionBase


METRICS_PORT: Final = 9443
"""Where a node's nginx shows metrics to private addresses, through TLS (images/programs/front.py)."""
METRICS_RULE: Final = "Metrics, for Prometheus"
"""What the firewall rule for it is called on every cloud."""


def revision_prefix(model: str, revision: str) -> str:
    """Folder of a revision's weights in every model store: `models/<name>/<revision>/`."""
    return f"models/{model}/{revision}/"


def model_prefix(config: RegionBase) -> str:
    """Folder of the weights that the stack file names."""
    return revision_prefix(config.model.name, config.model.revision)


def node_config(
    config: RegionBase,
    pool: image_node.PoolName,
    group: str,
    *,
    store: str,
    secrets: image_node.Secrets,
    hooks: image_node.Hooks | None = None,
    logs: image_node.Logs | None = None,
) -> image_node.NodeConfig:
    """What a node of `group` is told. store: where `models/` begins, such as `s3://bucket`; hooks: None where the
    cloud's groups have none; logs: None where they stay on the node."""
    model, node, limits = config.model, config.node, config.limits
    return image_node.NodeConfig(
        cloud=config.CLOUD,
        region=config.region,
        stack=config.stack_name,
        pool=pool,
        group=group,
        hooks=hooks,
        serving=image_node.Serving(name=config.service.name),
        model=image_node.Model(
            uri=f"{store}/{model_prefix(config)}",
            name=model.name,
            revision=model.revision,
            dtype=model.engine_dtype,
            quantization=model.quantization,
            kv_cache_dtype=model.kv_cache_dtype,
            tensor_parallel=model.tensor_parallel,
            pipeline_parallel=model.pipeline_parallel,
            max_model_len=model.max_model_len,
            max_num_seqs=model.max_num_seqs,
            gpu_memory_utilization=model.gpu_memory_utilization,
            load_format=model.load_format,
        ),
        limits=image_node.Limits(queue=limits.queue, ttft_p50_ms=limits.ttft_p50_ms, error_rate=limits.error_rate),
        drain=image_node.Drain(
            notice_seconds=node.notice_seconds,
            deregister_seconds=node.deregister_seconds,
            drain_seconds=node.drain_seconds,
        ),
        boot_minutes=config.fallback.boot_minutes,
        secrets=secrets,
        logs=logs,
    )
