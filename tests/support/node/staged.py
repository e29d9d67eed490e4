"""A revision in a stand-in bucket, a node that is told of it, and `images.programs.stage` as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from images import node as image_node
from images.render import render_node_json
from tests.support.node import stores

ROOT = Path(__file__).resolve().parents[3]
NAME, REVISION = "tiny-llm", "r1"
FOLDER = f"models/{NAME}/{REVISION}/"
BUCKET = "spillway-models-123456789012-us-east-1"


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that no two files have alike."""
    return random.Random(seed).randbytes(size)


def weights(size: int = 3_000_000, shards: int = 2) -> dict[str, bytes]:
    """Files of a model: config.json, a tokenizer in a folder, shards of `size` bytes."""
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    return {
        "config.json": b'{"architectures": ["TinyForCausalLM"]}',
        "tokenizer/tokenizer.json": noise(5000, 99),
        "tokenizer/empty.txt": b"",
        **{name: noise(size, number) for number, name in enumerate(names)},
    }


def manifest(files: Mapping[str, bytes], **changed: Any) -> bytes:
    """As `spillway models push` writes it."""
    entries = [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in files.items()
    ]
    body = {
        "schemaVersion": 1,
        "model": NAME,
        "revision": REVISION,
        "files": sorted(entries, key=lambda entry: str(entry["path"])),
    }
    return json.dumps({**body, **changed}).encode()


def node(tmp: Path, uri: str, cloud: str = "aws", **changed: Any) -> image_node.NodeConfig:
    """A node that serves the revision at `uri`. changed: fields of node.json as they are there."""
    body: dict[str, Any] = {
        "cloud": cloud,
        "region": "us-east-1",
        "stack": f"{cloud}-us-east-1",
        "pool": "spot",
        "group": "spillway-spot",
        "serving": {"name": "llm.example.com"},
        "model": {
            "uri": uri,
            "name": NAME,
            "revision": REVISION,
            "dtype": "bfloat16",
            "quantization": None,
            "kvCacheDtype": "auto",
            "tensorParallel": 1,
            "pipelineParallel": 1,
            "maxModelLen": 1024,
            "maxNumSeqs": 8,
            "gpuMemoryUtilization": 0.9,
        },
        "limits": {"queue": 100, "ttftP50Ms": 2000, "errorRate": 0.05},
        "drain": {"noticeSeconds": 120, "deregisterSeconds": 15, "drainSeconds": 90},
        "bootMinutes": 10,
        "secrets": {"certificate": "spillway/tls", "apiKeys": "spillway/api-keys"},
        "disks": {"scratch": str(tmp / "scratch"), "data": str(tmp / "data")},
        "staging": {"connections": 4, "partMib": 1},
    }
    for key, value in changed.items():
        body[key] = {**body[key], **value} if isinstance(body.get(key), dict) and isinstance(value, dict) else value
    return image_node.NodeConfig.model_validate_json(json.dumps(body))


@dataclass
class Machine:
    """The node's folders, and its programs."""

    tmp: Path
    config: image_node.NodeConfig
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("run", "scratch", "data"):
            (self.tmp / name).mkdir(exist_ok=True)
        (self.tmp / "node.json").write_text(render_node_json(self.config))

    @property
    def folder(self) -> Path:
        """Where the weights go."""
        return Path(self.config.disks.scratch) / "models" / NAME / REVISION

    @property
    def env(self) -> dict[str, str]:
        """What the programs are started with: nothing of the caller's clouds."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "SPILLWAY_NODE": str(self.tmp / "node.json"),
            "SPILLWAY_RUN": str(self.tmp / "run"),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            **self.environment,
        }

    def start(self, program: str = "stage") -> subprocess.Popen[str]:
        """The program, running."""
        return subprocess.Popen(
            [sys.executable, "-m", f"images.programs.{program}"],
            env=self.env,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str = "stage", timeout: float = 300) -> tuple[int, str]:
        """Exit code and journal."""
        process = self.start(program)
        try:
            _, journal = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            _, journal = process.communicate()
            raise AssertionError(f"still running after {timeout} s:\n{journal}") from None
        return process.returncode, journal

    def state(self, name: str = "stage") -> dict[str, Any]:
        """The state file."""
        found: dict[str, Any] = json.loads((self.tmp / "run" / f"{name}.json").read_text())
        return found

    def files(self) -> dict[str, bytes]:
        """What is staged, without what the node writes itself."""
        own = (".complete", "manifest.json", ".parts")
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in own
        }


def put_s3(url: str, files: Mapping[str, bytes], text: bytes | None = None, bucket: str = BUCKET) -> None:
    """Puts a revision into moto's S3; text: its manifest, None for the right one."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=stores.KEY_ID,
        aws_secret_access_key=stores.KEY_SECRET,
    )
    client.create_bucket(Bucket=bucket)
    for path, data in files.items():
        client.put_object(Bucket=bucket, Key=FOLDER + path, Body=data)
    client.put_object(Bucket=bucket, Key=FOLDER + "manifest.json", Body=manifest(files) if text is None else text)
