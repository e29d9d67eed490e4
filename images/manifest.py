"""What was baked: `manifest-<cloud>.json`, one entry per version with the image's id in every region.

`spillway image build` writes it from what Packer's manifest post-processor says; stack files refer to its entries by
family and version (or to one of its ids).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from images.node import Cloud

FOLDER: Final = Path("build/image")
KEEP: Final = 3
"""Versions per cloud that stay without being asked for: the one that serves, and two to go back to."""
FORMAT: Final = 1
LATEST: Final = 253_402_300_799
"""Unix seconds, the end of the year 9999: the last that a date can tell."""

Standing = Literal["baked", "not baked", "not in region", "by id", "newest"]


class Unreadable(ValueError):
    """A manifest, or Packer's, that is none; the message names the file."""


@dataclass(frozen=True, slots=True)
class Baked:
    """One image. ids: by region, `global` where a cloud has one for all. source: sha256 of what it was baked from.

    baked: unix seconds.
    """

    family: str
    version: str
    account: str
    source: str
    baked: int
    ids: dict[str, str]
    components: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stack file says of its image. name: of the stack."""

    stack: str
    cloud: Cloud
    region: str
    account: str
    family: str | None = None
    version: str | None = None
    id: str | None = None
    newest: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """A stack file's image, and whether it is there. id: which image it comes down to, None when there is none."""

    stack: str
    wanted: str
    standing: Standing
    id: str | None = None


def path_of(folder: Path, cloud: Cloud) -> Path:
    return folder / f"manifest-{cloud}.json"


def load(folder: Path, cloud: Cloud) -> list[Baked]:
    """Every image of a cloud, the oldest first; none when nothing was baked. Raises Unreadable."""
    path = path_of(folder, cloud)
    try:
        data = json.loads(path.read_text())
        if data["format"] != FORMAT or data["cloud"] != cloud:
            raise Unreadable(f"{path}: expected format {FORMAT} and cloud {cloud}")
        return [_entry(entry) for entry in data["images"]]
    except FileNotFoundError:
        return []
    except Unreadable:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{path}: is no manifest of baked images ({' '.join(str(error).split())})") from None


def _entry(found: Any) -> Baked:
    """One image. Raises TypeError, ValueError: somebody has edited the file by hand, or another program wrote it."""
    one = Baked(**found)
    for key in ("family", "version", "account", "source"):
        if not isinstance(value := getattr(one, key), str) or not value.isprintable():
            raise ValueError(f"{key} {value!r} is no line of text")
    if isinstance(one.baked, bool) or not isinstance(one.baked, int) or not 0 <= one.baked <= LATEST:
        raise ValueError(f"baked {one.baked!r} is no time in unix seconds")
    for key in ("ids", "components"):
        if not isinstance(value := getattr(one, key), dict) or not all(
            isinstance(text, str) and text.isprintable() for text in value.values()
        ):
            raise ValueError(f"{key} {value!r} has to map names to texts")
    return one


def save(folder: Path, cloud: Cloud, images: Sequence[Baked]) -> Path:
    """Replaces the manifest at once, never half. Raises OSError."""
    path = path_of(folder, cloud)
    folder.mkdir(parents=True, exist_ok=True)
    data = {"format": FORMAT, "cloud": cloud, "images": [asdict(image) for image in images]}
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(json.dumps(data, indent=2) + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def from_packer(path: Path, cloud: Cloud, regions: Sequence[str]) -> tuple[int, dict[str, str]]:
    """(unix time, ids by region) of the last run in the file that Packer's manifest post-processor wrote.

    AWS and Tencent give `region:id` joined by commas, Google Cloud a name, Azure the id of a version that every target
    region has. Raises Unreadable.
    """
    try:
        data = json.loads(path.read_text())
        last = data["last_run_uuid"]
        (build,) = [one for one in data["builds"] if one["packer_run_uuid"] == last]
        artifact, when = str(build["artifact_id"]), int(build["build_time"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path}: Packer's manifest names no image ({' '.join(str(error).split())})") from None
    if cloud == "gcp":
        return when, {"global": artifact}
    if cloud == "azure":
        return when, dict.fromkeys(regions, artifact)
    pairs = [one.partition(":")[::2] for one in artifact.split(",")]
    if not all(region and image for region, image in pairs):
        raise Unreadable(f"{path}: artifact {artifact!r} is not region:image for each region")
    return when, dict(pairs)


def components(pinned: Mapping[str, str], noted: Path) -> dict[str, str]:
    """The pinned versions, and what the builder noted beside them (`name version` a line): what a signed repository had
    on the day. A file that did not come leaves those out."""
    try:
        rows = [line.split() for line in noted.read_text().splitlines()]
    except OSError:
        rows = []
    return dict(sorted({**{row[0]: row[1] for row in rows if len(row) == 2}, **pinned}.items()))


def add(images: Sequence[Baked], new: Baked) -> list[Baked]:
    """The manifest with one more; an entry of the same account, family and version is replaced."""
    same = (new.account, new.family, new.version)
    return [*(one for one in images if (one.account, one.family, one.version) != same), new]


def surplus(images: Sequence[Baked], named: Iterable[str], keep: int = KEEP) -> list[Baked]:
    """Images beyond the last `keep` of their account and family. named: versions in stack files, which are never among
    them."""
    stays = set(named)
    groups: dict[tuple[str, str], list[Baked]] = {}
    for one in sorted(images, key=lambda image: image.baked):
        groups.setdefault((one.account, one.family), []).append(one)
    return [one for group in groups.values() for one in group[: max(0, len(group) - keep)] if one.version not in stays]


def references(wanted: Iterable[Wanted], baked: Mapping[Cloud, Sequence[Baked]]) -> list[Reference]:
    """What every stack file refers to, and whether it was baked."""
    return [_reference(one, baked.get(one.cloud, ())) for one in wanted]


def _reference(wanted: Wanted, baked: Sequence[Baked]) -> Reference:
    if wanted.id is not None:
        return Reference(wanted.stack, wanted.id, "by id", wanted.id)
    mine = [one for one in baked if one.family == wanted.family and one.account in ("", wanted.account)]
    if wanted.newest:
        there = [one for one in sorted(mine, key=lambda one: one.baked) if _id(one, wanted.region)]
        found = _id(there[-1], wanted.region) if there else None
        return Reference(wanted.stack, f"{wanted.family} (newest)", "newest" if found else "not baked", found)
    name = f"{wanted.family} {wanted.version}"
    match = [one for one in mine if one.version == wanted.version]
    if not match:
        return Reference(wanted.stack, name, "not baked")
    found = _id(match[-1], wanted.region)
    return Reference(wanted.stack, name, "baked" if found else "not in region", found)


def _id(image: Baked, region: str) -> str | None:
    return image.ids.get("global") or image.ids.get(region)


def clouds() -> tuple[Cloud, ...]:
    found: tuple[Cloud, ...] = get_args(Cloud)
    return found


def as_json(images: Mapping[Cloud, Sequence[Baked]], found: Sequence[Reference]) -> dict[str, Any]:
    """For `--json`."""
    return {
        "images": {cloud: [asdict(one) for one in entries] for cloud, entries in images.items()},
        "stacks": [asdict(one) for one in found],
    }
