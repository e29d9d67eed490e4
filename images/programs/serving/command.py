"""vLLM's command line and environment from node.json. Pure.

Options: https://docs.vllm.ai/en/stable/cli/serve/; variables: https://docs.vllm.ai/en/stable/configuration/env_vars/.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from images.node import NodeConfig

VLLM: Final = "/opt/vllm/bin/vllm"
STREAMED: Final = ("s3://", "gs://", "az://")
"""Schemes of the Run:ai streamer (https://docs.vllm.ai/en/stable/models/extensions/runai_model_streamer/)."""
MASTER_PORT: Final = 29501
"""Where the head's processes wait for those of the other nodes; vLLM's own default."""
EXTRA: Final = "SPILLWAY_ENGINE_ARGS"
"""More of vLLM's own options, as a shell would split them: those of a replica's node, and tests on a CPU."""


class Refused(Exception):
    """The engine cannot be started; the message is one line."""


def weights(config: NodeConfig) -> Path:
    """Where spillway-stage puts them."""
    return Path(config.disks.scratch) / "models" / config.model.name / config.model.revision


def source(config: NodeConfig) -> str:
    """What vLLM is told to load. Raises Refused where the streamer knows no such store."""
    if config.model.load_format == "stage":
        return str(weights(config))
    if not config.model.uri.startswith(STREAMED):
        raise Refused(f"model.loadFormat stream: {config.model.uri} is on none of {', '.join(STREAMED)}")
    # The streamer has the account from the environment, and the container first in the address.
    return config.model.uri.replace(f"az://{_account(config)}/", "az://") if _account(config) else config.model.uri


def _account(config: NodeConfig) -> str:
    """The storage account of az://account/container/path, "" elsewhere."""
    at = urlsplit(config.model.uri)
    return at.netloc if at.scheme == "az" else ""


def together(config: NodeConfig) -> list[str]:
    """Options of a replica of several nodes. Raises Refused.

    https://docs.vllm.ai/en/stable/serving/parallelism_scaling/
    vLLM never takes Ray by itself: more GPUs than the node has end its start.
    """
    cluster = config.cluster
    if cluster is None:
        return []
    if cluster.executor == "ray":
        if cluster.role == "worker":
            raise Refused("cluster: on a worker Ray starts the engine's processes, not this unit")
        return ["--distributed-executor-backend", "ray"]
    found = ["--distributed-executor-backend", "mp", "--nnodes", str(cluster.nodes), "--node-rank", str(cluster.rank)]
    found += ["--master-addr", cluster.head_address, "--master-port", str(MASTER_PORT)]
    return found if cluster.role == "head" else [*found, "--headless"]


def argv(config: NodeConfig, environment: Mapping[str, str], url: str) -> list[str]:
    """The command. url: where the engine is to listen. Raises Refused."""
    model, at = config.model, urlsplit(url)
    try:
        more = shlex.split(environment.get(EXTRA, ""))
    except ValueError as error:
        raise Refused(f"{EXTRA}: {error}") from None
    options = {
        "--served-model-name": model.name,
        "--host": at.hostname or "127.0.0.1",
        "--port": str(at.port or 8000),
        "--tensor-parallel-size": str(model.tensor_parallel),
        "--pipeline-parallel-size": str(model.pipeline_parallel) if model.pipeline_parallel > 1 else None,
        "--max-model-len": str(model.max_model_len),
        "--max-num-seqs": str(model.max_num_seqs),
        "--gpu-memory-utilization": f"{model.gpu_memory_utilization:g}",
        "--dtype": model.dtype,
        "--quantization": model.quantization,
        "--kv-cache-dtype": model.kv_cache_dtype if model.kv_cache_dtype != "auto" else None,
        # SIGTERM lets requests finish for so long; 0, the default, cuts them.
        "--shutdown-timeout": str(config.drain.drain_seconds),
        "--load-format": "runai_streamer" if model.load_format == "stream" else None,
    }
    command = [environment.get("SPILLWAY_VLLM") or VLLM, "serve", source(config)]
    for name, value in options.items():
        if value is not None:
            command += [name, value]
    # nginx has the access log, with the key's name and without the query.
    return [*command, "--disable-uvicorn-access-log", *together(config), *more]


def variables(config: NodeConfig, environment: Mapping[str, str]) -> dict[str, str]:
    """The engine's environment: this one, and what a node that asks nobody needs."""
    cache = Path(config.disks.data) / "cache"
    found = dict(environment)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "PYTHONPATH", "PYTHONUNBUFFERED"):
        found.pop(name, None)  # of this program; the engine has a Python of its own
    # Never on a node: it opens routes that put the engine to sleep.
    found.pop("VLLM_SERVER_DEV_MODE", None)
    found |= {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
    }
    # Compiled kernels live as long as the data volume; what the image brings is copied there once (leftovers.py).
    for name, folder in (
        ("VLLM_CACHE_ROOT", "vllm"), ("TORCHINDUCTOR_CACHE_DIR", "torchinductor"), ("TRITON_CACHE_DIR", "triton"),
        ("FLASHINFER_WORKSPACE_BASE", "flashinfer"), ("CUDA_CACHE_PATH", "cuda"), ("XDG_CACHE_HOME", "xdg"),
    ):  # fmt: skip
        found.setdefault(name, str(cache / folder))
    if config.model.load_format == "stream":
        found.setdefault("RUNAI_STREAMER_CONCURRENCY", "32")
        if config.cloud == "aws":
            found.setdefault("AWS_DEFAULT_REGION", config.region)
        if account := _account(config):
            found.setdefault("AZURE_STORAGE_ACCOUNT_NAME", account)
    return found
