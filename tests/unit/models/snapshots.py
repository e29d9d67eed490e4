"""Folders that look like snapshots of the Hugging Face hub, of any size."""

from __future__ import annotations

import json
import random
from pathlib import Path

COMMIT = "b1c0b44b4369b597ad119a196caf79a9c40e141e"


def content(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def snapshot(root: Path, shards: tuple[int, ...] = (5000, 7000), seed: int = 0) -> Path:
    """A snapshot in the hub's own cache: `snapshots/<commit>/` with symbolic links to `blobs/`."""
    folder, blobs = root / "snapshots" / COMMIT, root / "blobs"
    folder.mkdir(parents=True)
    blobs.mkdir()
    names = [f"model-{n:05d}-of-{len(shards):05d}.safetensors" for n in range(1, len(shards) + 1)]
    files = {name: content(size, seed + n) for n, (name, size) in enumerate(zip(names, shards, strict=True))}
    files["config.json"] = b'{"architectures": ["LlamaForCausalLM"]}'
    files["tokenizer.json"] = b""
    index = {"weight_map": {f"layer.{n}": name for n, name in enumerate(names)}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    files[".gitattributes"] = b"*.safetensors filter=lfs"
    for number, (name, data) in enumerate(files.items()):
        blob = blobs / f"{number:040x}"
        blob.write_bytes(data)
        (folder / name).symlink_to(Path("../..") / "blobs" / blob.name)
    return folder
