"""A local folder of weights, such as a snapshot of the Hugging Face hub: what belongs to it, is it whole?"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spillway.errors import SpillwayError
from spillway.models.manifest import NAME, File, path_fault

# What git and the hub's own tools leave beside the files of a repository:
# https://huggingface.co/docs/huggingface_hub/guides/download#download-files-to-a-local-folder
LEFT_OUT: Final = (".git", ".git/*", ".cache", ".cache/*", ".gitattributes", ".gitignore", ".DS_Store", "*/.DS_Store")
HALF: Final = (".incomplete", ".part", ".tmp", ".aria2", ".crdownload")
WEIGHTS: Final = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: the pointer's first line, and files under 1,024 bytes
_LFS: Final = b"version https://git-lfs.github.com/spec/"
CHUNK: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """One file of the folder. file: where it lies; snapshots of the hub's cache are symbolic links."""

    path: str
    file: Path
    size: int


def scan(folder: Path, exclude: Sequence[str] = ()) -> list[Found]:
    """The files of a folder, sorted; `exclude`: patterns of paths such as `original/*`.

    Raises SpillwayError with every reason why this is no complete model: a download that is not over, a pointer of
    Git LFS, a shard that the index names and that is not there.
    """
    if not folder.is_dir():
        raise SpillwayError(f"{folder}: no such folder")
    patterns = (*LEFT_OUT, *exclude)
    found: list[Found] = []
    faults: list[str] = []
    for path, file in _walk(folder):
        if path == NAME or any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
            continue
        if fault := path_fault(path):
            faults.append(f"{folder}: {path.encode('unicode_escape').decode()}: its name {fault}")
            continue
        try:
            found.append(Found(path, file, file.stat().st_size))
        except OSError as error:
            faults.append(f"{folder}: {path}: {error.strerror or error}; was its download finished?")
    faults += [f"{folder}: {line}" for line in _incomplete(found)]
    if faults:
        raise SpillwayError(*faults[:20])
    return sorted(found, key=lambda one: one.path)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for root, directories, names in os.walk(folder, followlinks=False):
        here = Path(root)
        directories[:] = sorted(d for d in directories if not (here == folder and d in (".git", ".cache")))
        for name in sorted(names):
            file = here / name
            yield file.relative_to(folder).as_posix(), file


def _incomplete(found: Sequence[Found]) -> Iterator[str]:
    paths = {one.path: one for one in found}
    for one in found:
        if one.path.endswith(HALF):
            yield f"{one.path}: an unfinished download"
        elif one.size < 1024 and _begins(one.file, _LFS):
            yield f"{one.path}: a pointer of Git LFS, not the file: `git lfs pull` brings it"
    if not any(one.path.endswith(WEIGHTS) and one.size for one in found):
        yield f"holds no weights ({', '.join(WEIGHTS)})"
    if "config.json" not in paths and not any(path.endswith(".gguf") for path in paths):
        yield "holds no config.json: not a model that vLLM could load"
    for path, one in paths.items():
        if path.endswith(".index.json"):
            yield from _missing_shards(path, one.file, paths.keys())


def _missing_shards(path: str, file: Path, there: object) -> Iterator[str]:
    # https://huggingface.co/docs/safetensors/metadata_parsing: weight_map names the file of every tensor
    try:
        body = json.loads(file.read_bytes())
        shards = set(body["weight_map"].values())
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        yield f"{path}: not an index of shards (weight_map)"
        return
    parent = path.rpartition("/")[0]
    missing = sorted(
        str(shard)
        for shard in shards
        if (f"{parent}/{shard}" if parent else shard) not in there  # type: ignore[operator]
    )
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        yield f"{path} names shards that are not there: {', '.join(missing[:3])}{more}"


def _begins(file: Path, with_: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(with_)) == with_


def revision_of(folder: Path) -> str | None:
    """The commit that a snapshot of the hub's cache is named by (`.../snapshots/<commit>/`); None for other folders."""
    name = folder.resolve().name
    return name if _COMMIT.fullmatch(name) else None


def hash_file(file: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file in hex. Raises SpillwayError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with file.open("rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                advance(len(chunk))
    except OSError as error:
        raise SpillwayError(f"{file}: {error.strerror or error}") from None
    return digest.hexdigest()


def hash_all(found: Sequence[Found], parallel: int, advance: Callable[[int], None]) -> list[File]:
    """Every file with its hash; hashing gives the interpreter's lock away, so files go side by side."""
    with ThreadPoolExecutor(max(1, min(parallel, os.cpu_count() or 1)), thread_name_prefix="hash") as pool:
        hashes = pool.map(lambda one: hash_file(one.file, advance), found)
        return [File(one.path, one.size, sha256) for one, sha256 in zip(found, hashes, strict=True)]
