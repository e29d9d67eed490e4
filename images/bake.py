"""From the image's source to what Packer bakes: one deterministic archive (tree, install scripts, SBOM), and HCL.

The same source gives the same bytes, so that a checksum says whether two images are of one source. Nothing here calls a
cloud or Packer; spillway/image_build.py does.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from images import sbom, tree, versions
from images.node import Cloud
from infra.naming import partition

HERE: Final = Path(__file__).resolve().parent
TEMPLATES: Final = HERE / "packer"
PINS: Final = TEMPLATES / "pins.yaml"
COMPONENTS: Final = "components.txt"
"""What the install scripts noted, `name version` a line; beside the SBOM on the node, and fetched for the manifest."""
ARCHIVE: Final = "spillway-image.tar"
FOLDER: Final = "/var/tmp/spillway-image"
"""On the builder, where the archive is unpacked; gone at the end. Not /tmp, which may be memory."""
RENDERED: Final = ".spillway-rendered"
"""Marks a folder whose content a rendering may replace."""
BUILDERS: Final[dict[Cloud, str]] = {
    "aws": "amazon-ebs",
    "azure": "azure-arm",
    "gcp": "googlecompute",
    "tencent": "tencentcloud-cvm",
}
LEGACY: Final = "1.6.6"
"""The Packer of Debian 12, which validates offline; what it does not know is left out of the copy that it is given."""

# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
# https://www.tencentcloud.com/document/product/651/13354
# Azure's and Google Cloud's are in infra/azure/names.py and infra/gcp/names.py.
TAGS_MAX: Final[dict[Cloud, int]] = {"aws": 50, "azure": 50, "gcp": 64, "tencent": 50}
TAG_VALUE_MAX: Final[dict[Cloud, int]] = {"aws": 256, "azure": 256, "gcp": 63, "tencent": 127}
LABEL_KEY: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")

EXECUTE: Final = "sudo -n env {{ .Vars }} bash '{{ .Path }}'"
STEP: Final = re.compile(r"[0-9]{2}-[a-z0-9-]+\.sh")
STEP_TIMEOUT: Final = "60m"


@dataclass(frozen=True, slots=True)
class Bake:
    """One image of one cloud.

    regions: where stacks need it, the first is where it is baked. account: AWS account, Azure subscription or Google
    Cloud project that it belongs to. image_name: for the clouds that take no dots in it. zone: Google Cloud, Tencent.
    """

    cloud: Cloud
    family: str
    version: str
    regions: tuple[str, ...]
    account: str
    image_name: str = ""
    zone: str = ""
    gallery: str = ""
    resource_group: str = ""
    replicas: int = 1
    """Azure, per region: one per 20 machines that boot at once
    (https://learn.microsoft.com/azure/virtual-machines/azure-compute-gallery#scaling)."""
    storage_locations: tuple[str, ...] = ()

    @property
    def region(self) -> str:
        return self.regions[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One install script on the builder, in the order of their numbers."""

    name: str
    timeout: str = STEP_TIMEOUT


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a bake is made of. archive: bytes of the tar; checksum: sha256 of the source, the same on every machine."""

    archive: bytes
    hcl: dict[str, str]
    checksum: str
    components: dict[str, str]


@cache
def pins() -> dict[str, Any]:
    """Versions of Packer and its plugins, source images, builder types."""
    found: dict[str, Any] = yaml.safe_load(PINS.read_text())
    return found


def _hcl(value: str | bool | int | Sequence[str] | None) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # JSON's escapes are HCL's; only the beginnings of a template have to be doubled.
        return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
    return "[" + ", ".join(_hcl(one) for one in value) + "]"


def _hcl_map(pairs: Iterable[tuple[str, str]]) -> str:
    rows = [(_hcl(key), _hcl(value)) for key, value in pairs]
    wide = max(len(key) for key, _ in rows)
    return "{\n" + "".join(f"    {key.ljust(wide)} = {value}\n" for key, value in rows) + "  }"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["hcl"] = _hcl
    environment.filters["hcl_map"] = _hcl_map
    return environment


def label(text: str) -> str:
    """A text as a label of Google Cloud: lower case, digits, - and _, at most 63: `2.13.0+cu130` -> `2-13-0-cu130`."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[: TAG_VALUE_MAX["gcp"]]


def own_tags(bake: Bake, checksum: str) -> list[tuple[str, str]]:
    """What stack files find an image by, and which source it is of."""
    texts = {"family": bake.family, "version": bake.version, "source": checksum}
    return [(_key(bake.cloud, key), _value(bake.cloud, value)) for key, value in texts.items()]


def tags(bake: Bake, checksum: str, components: Mapping[str, str]) -> list[tuple[str, str]]:
    """All tags of an image: its own, then a component's version each. Raises ValueError beyond the cloud's limits."""
    found = own_tags(bake, checksum)
    if bake.cloud == "aws":
        found.insert(0, ("Name", f"{bake.family}-{bake.version}"))
    found += [(_key(bake.cloud, key), _value(bake.cloud, value)) for key, value in components.items()]
    most = TAGS_MAX[bake.cloud] - 1  # one is left for the name of the source image
    if len(found) > most:
        raise ValueError(f"{len(found)} tags on an image of {bake.cloud}, the limit is {most}")
    twice = {key for key, _ in found if [one for one, _ in found].count(key) > 1}
    if twice:
        raise ValueError(f"tags {', '.join(sorted(twice))} are there twice")
    return found


def _key(cloud: Cloud, name: str) -> str:
    # Lookups of AWS ask for spillway:family; the others' services refuse colons (infra/azure/names.py).
    key = f"spillway:{name}" if cloud == "aws" else f"spillway-{name}"
    if cloud == "gcp" and not LABEL_KEY.fullmatch(key):
        raise ValueError(f"label {key!r}: expected up to 63 lower-case letters, digits, _ and -")
    return key


def _value(cloud: Cloud, text: str) -> str:
    value = label(text) if cloud == "gcp" else text
    if len(value) > TAG_VALUE_MAX[cloud]:
        raise ValueError(f"tag value {text!r}: the limit of {cloud} is {TAG_VALUE_MAX[cloud]} characters")
    return value


def steps(folder: Path) -> list[Step]:
    """The numbered scripts of a rendered install folder, in order."""
    return [Step(path.name) for path in sorted(folder.glob("*.sh")) if STEP.fullmatch(path.name)]


def render_hcl(
    bake: Bake,
    *,
    archive_sha256: str,
    checksum: str,
    components: Mapping[str, str],
    scripts: Sequence[Step],
    modern: bool = True,
) -> dict[str, str]:
    """HCL files by name. modern: for the pinned Packer; otherwise the copy that LEGACY validates."""
    pinned = pins()
    identity = {"cloud": bake.cloud, "family": bake.family, "version": bake.version, "source": checksum}
    values: dict[str, Any] = {
        "cloud": bake.cloud,
        "builder": BUILDERS[bake.cloud],
        "builder_type": pinned["builders"][bake.cloud],
        "packer": pinned["core"],
        "plugin": pinned["plugins"][bake.cloud],
        "base": pinned["base"][bake.cloud],
        "partition": partition(bake.region) if bake.cloud == "aws" else "",
        "disk_gib": pinned["diskGib"],
        "modern": modern,
        "family": bake.family,
        "version": bake.version,
        "image_name": bake.image_name,
        "account": bake.account,
        "region": bake.region,
        "regions": list(bake.regions),
        "copies": list(bake.regions[1:]),
        "zone": bake.zone,
        "gallery": bake.gallery,
        "resource_group": bake.resource_group,
        "replicas": bake.replicas,
        "storage_locations": list(bake.storage_locations),
        "tags": tags(bake, checksum, components),
        "own_tags": own_tags(bake, checksum),
        "builder_tags": [
            *([("Name", f"bake {bake.family}-{bake.version}")] if bake.cloud == "aws" else []),
            (_key(bake.cloud, "component"), "image-builder"),
            (_key(bake.cloud, "version"), _value(bake.cloud, bake.version)),
        ],
        "archive": ARCHIVE,
        "components_file": COMPONENTS,
        "archive_sha256": archive_sha256,
        "folder": FOLDER,
        "execute": EXECUTE,
        "steps": scripts,
        "identity_line": f"printf '%s\\n' '{json.dumps(identity)}' >/usr/share/spillway/image.json",
        "custom_data": identity,
    }
    names = [f"{bake.cloud}.pkr.hcl", "build.pkr.hcl"] + (["plugins.pkr.hcl"] if modern else [])
    return {name: _environment().get_template(f"{name}.j2").render(values) for name in names}


def make_source(bake: Bake, target: Path) -> None:
    """The files that go to the builder: rootfs/ (the tree), install/ (the scripts and what they read), sbom.json.

    Raises ValueError when the source is not whole.
    """
    tree.render(bake.cloud, target / "rootfs")
    tree.render_install(bake.cloud, target / "install")
    text = sbom.render(bake.family, bake.cloud)
    (target / "sbom.json").write_text(text)
    (target / "sbom.json").chmod(0o644)


def pack(folder: Path) -> bytes:
    """A folder as a tar whose bytes depend on names, contents, links and the executable bit only."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*"), key=lambda one: one.relative_to(folder).parts):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "root", "root"
            if path.is_symlink():
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
                archive.addfile(entry)
            elif path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                content = path.read_bytes()
                entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def checksum_of(archive: bytes, cloud: Cloud) -> str:
    """sha256 of an image's source: what goes to the builder, and how Packer is told to bake. Not the version."""
    digest = hashlib.sha256(hashlib.sha256(archive).digest())
    for path in (TEMPLATES / f"{cloud}.pkr.hcl.j2", TEMPLATES / "build.pkr.hcl.j2", TEMPLATES / "plugins.pkr.hcl.j2"):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    pinned = pins()
    used = {key: pinned[key][cloud] for key in ("plugins", "builders", "base")} | {"disk": pinned["diskGib"]}
    digest.update(json.dumps(used, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def prepare(bake: Bake, *, modern: bool = True) -> Rendered:
    """Everything of a bake in memory. Raises ValueError when the source is not whole or beyond a limit of the cloud."""
    with tempfile.TemporaryDirectory(prefix="spillway-image-") as name:
        folder = Path(name)
        make_source(bake, folder)
        scripts = steps(folder / "install")
        if not scripts:
            raise ValueError("images/install: no script is named NN-name.sh")
        return _rendered(bake, pack(folder), scripts, modern)


def _rendered(bake: Bake, archive: bytes, scripts: Sequence[Step], modern: bool) -> Rendered:
    checksum, components = checksum_of(archive, bake.cloud), sbom.summary(bake.cloud)
    hcl = render_hcl(
        bake,
        archive_sha256=hashlib.sha256(archive).hexdigest(),
        checksum=checksum,
        components=components,
        scripts=scripts,
        modern=modern,
    )
    return Rendered(archive, hcl, checksum, components)


def refuse_faults() -> None:
    """Raises ValueError with one line when the components do not go together: said before an hour of baking."""
    if faults := versions.check():
        more = f" (and {len(faults) - 1} more: spillway image validate)" if len(faults) > 1 else ""
        raise ValueError(f"images/versions.yaml: {faults[0]}{more}")


def write(bake: Bake, out: Path, *, modern: bool = True) -> Rendered:
    """Writes source/ (the files that go to the builder, to read) and packer/ (HCL and the archive) into `out`.

    What is there of an earlier rendering is replaced, and nothing else: a folder `packer` may be somebody's own. Raises
    ValueError as `prepare` does and for such a folder, OSError.
    """
    for part in ("source", "packer"):
        if (out / part).exists() and not (out / RENDERED).exists():
            raise ValueError(f"{out}: has a {part} that is not of an earlier rendering; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / RENDERED).touch()
    for part in ("source", "packer"):
        shutil.rmtree(out / part, ignore_errors=True)
    source, packer = out / "source", out / "packer"
    source.mkdir(parents=True)
    make_source(bake, source)
    rendered = _rendered(bake, pack(source), steps(source / "install"), modern)
    packer.mkdir()
    (packer / ARCHIVE).write_bytes(rendered.archive)
    for name, text in rendered.hcl.items():
        (packer / name).write_text(text)
    return rendered
