"""Parts of files, how they are dealt to processes, and the journal that tells which of them are on the disk. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from images.programs.staging.manifest import File

MIB: Final = 1 << 20
PART_BYTES: Final = 16 * MIB
"""Ranges of 8 to 16 MB are what S3 advises; larger ones mean fewer requests and writes, smaller ones less memory.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-design-patterns.html"""
CONNECTION_BYTES: Final = 85_000_000
"""Per second, of one connection to S3: one per 85 to 90 MB/s of the throughput that is wanted (the page above)."""
CONNECTIONS: Final = (16, 160)
"""The fewest and the most: 1.4 GB/s, which any node's network brings, to 100 Gbit/s, which S3 gives one instance
(https://repost.aws/knowledge-center/s3-maximum-transfer-speed-ec2)."""
CONNECTIONS_PER_CPU: Final = 2
PROCESSES_MAX: Final = 32
"""A hash is one thread's, and processors without SHA extensions, such as the Cascade Lakes of p4d
(https://aws.amazon.com/ec2/instance-types/p4/), do about 0.4 GB/s in one: 32 of them are what 100 Gbit/s need there."""
BATCH_BYTES: Final = 64 * MIB
BATCH_FILES: Final = 64
ALIGNMENT: Final = 4096
"""What O_DIRECT wants of addresses, lengths and offsets on disks with sectors of 512 and of 4,096 bytes."""


@dataclass(frozen=True, slots=True)
class Part:
    """A range of one file. file, number: indices. start, length: bytes. last: the file ends with it."""

    file: int
    number: int
    start: int
    length: int
    last: bool


def parts_of(file: int, size: int, part: int) -> Iterator[Part]:
    """The parts of a file in order: each of `part` bytes but the last; an empty file has one empty part.

    Raises ValueError for a part size that O_DIRECT could not write.
    """
    if part <= 0 or part % ALIGNMENT:
        raise ValueError(f"part size {part}: has to be a multiple of {ALIGNMENT} bytes")
    count = max(1, -(-size // part))
    for number in range(count):
        start = number * part
        yield Part(file, number, start, min(part, size - start), number == count - 1)


def aligned(length: int) -> int:
    """The next multiple of the alignment."""
    return -(-length // ALIGNMENT) * ALIGNMENT


def batches(files: Sequence[File]) -> list[tuple[int, ...]]:
    """Indices of files, dealt to processes one batch at a time: large files alone and first, so that none is left for
    the end; small ones together, which costs one turn instead of many."""
    order = sorted(range(len(files)), key=lambda index: (-files[index].size, index))
    found: list[tuple[int, ...]] = []
    batch: list[int] = []
    size = 0
    for index in order:
        if batch and (size + files[index].size > BATCH_BYTES or len(batch) == BATCH_FILES):
            found.append(tuple(batch))
            batch, size = [], 0
        batch.append(index)
        size += files[index].size
    return [*found, tuple(batch)] if batch else found


@dataclass(frozen=True, slots=True)
class Shape:
    """How many processes with how many connections each."""

    processes: int
    connections: int


def shape(cpus: int, files: int, connections: int | None = None) -> Shape:
    """For a machine with so many CPUs. connections: of all processes together, None for the machine's own.

    A process per CPU, although each has more than one thread to run: SSL gives Python 16 KiB at a time, and each time
    the threads of a process wait for the interpreter, so that two with half of the connections are a quarter faster on
    two CPUs than one with all. A file is one process's, as SHA-256 goes through it in order.
    """
    processes = max(1, min(cpus, files, PROCESSES_MAX))
    wanted = connections or min(CONNECTIONS[1], max(CONNECTIONS[0], cpus * CONNECTIONS_PER_CPU))
    processes = min(processes, wanted)
    return Shape(processes, -(-wanted // processes))


@dataclass(slots=True)
class Progress:
    """What a journal tells: parts on the disk by file, and files whose hash was right, with their time stamp (ns)."""

    parts: dict[int, set[int]] = field(default_factory=dict)
    files: dict[int, int] = field(default_factory=dict)

    def has(self, part: Part) -> bool:
        """Whether the part is on the disk."""
        return part.number in self.parts.get(part.file, ())

    def bytes(self, files: Sequence[File], part: int) -> int:
        """On the disk, of all files."""
        found = sum(files[index].size for index in self.files)
        for index, numbers in self.parts.items():
            if index not in self.files:
                found += sum(min(part, files[index].size - number * part) for number in numbers)
        return found


# The journal: a first line that says whose parts these are, then one line per event. A line that a crash cut short has
# no end and does not count.


def header(digest: str, part: int) -> str:
    """The first line: of which manifest and in parts of how many bytes."""
    return json.dumps({"manifest": digest, "part": part}) + "\n"


def part_line(file: int, number: int) -> str:
    """A part was written."""
    return f"p {file} {number}\n"


def file_line(file: int, stamp: int) -> str:
    """A file is whole, its hash right, and on the disk for good; stamp: its time of change in ns."""
    return f"f {file} {stamp}\n"


def drop_line(file: int) -> str:
    """A file's parts are worth nothing: its hash was wrong."""
    return f"x {file} 0\n"


def replay(text: str, digest: str, part: int, files: Sequence[File]) -> Progress | None:
    """What a journal tells; None when it is another manifest's or another part size's.

    Lines that make no sense for these files are passed over: the hash of every file is checked anyway.
    """
    first, _, rest = text.partition("\n")
    if first + "\n" != header(digest, part):
        return None
    found = Progress()
    for line in _whole(rest):
        words = line.split(" ")
        if len(words) != 3 or not (words[1].isascii() and words[1].isdigit()) or not words[2].isascii():
            continue
        if not words[2].isdigit():
            continue
        kind, file, value = words[0], int(words[1]), int(words[2])
        if file >= len(files):
            continue
        if kind == "p" and value < max(1, -(-files[file].size // part)):
            found.parts.setdefault(file, set()).add(value)
        elif kind == "f":
            found.files[file] = value
        elif kind == "x":
            found.parts.pop(file, None)
            found.files.pop(file, None)
    return found


def _whole(text: str) -> Iterable[str]:
    """Lines that end: the last one may have been cut."""
    return text.split("\n")[:-1]
