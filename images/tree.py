"""The image's file tree for a cloud: images/rootfs with templates filled in, and the node's programs. The same bytes
and modes for the same source.
"""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from jinja2 import Environment, StrictUndefined

from images import versions
from images.node import Cloud

ROOTFS: Final = Path(__file__).resolve().parent / "rootfs"
INSTALL: Final = Path(__file__).resolve().parent / "install"
REQUIREMENTS: Final = Path(__file__).resolve().parent / "requirements"
CACHES: Final = Path(__file__).resolve().parent / "caches"
"""`<cloud>.tar.gz`, where there is one: what engines have compiled (docs/image-boot.md). Not in the repository."""
PROGRAMS: Final = Path(__file__).resolve().parent / "programs"
APP: Final = Path("opt/spillway/app/images")
CLOUDS: Final[tuple[Cloud, ...]] = get_args(Cloud)

DATASOURCES: Final[dict[Cloud, str]] = {"aws": "Ec2", "azure": "Azure", "gcp": "GCE", "tencent": "ConfigDrive"}
"""cloud-init's names (https://docs.cloud-init.io/en/latest/reference/datasources.html); Tencent's metadata also comes
as a configuration drive."""

UNITS: Final = Path("etc/systemd/system")
LINKS: Final = {
    UNITS / "multi-user.target.wants/spillway.target": "../spillway.target",
    UNITS / "multi-user.target.wants/nginx.service": "../nginx.service",
    # No package work on a node: a release is an image. The rest are timers that disturb an engine and find nothing.
    **{
        UNITS / name: "/dev/null"
        for name in (
            "apt-daily.service", "apt-daily.timer", "apt-daily-upgrade.service", "apt-daily-upgrade.timer",
            "unattended-upgrades.service", "man-db.timer", "motd-news.timer", "e2scrub_all.timer",
            "fwupd-refresh.timer",
            "update-notifier-download.timer", "update-notifier-motd.timer", "ua-timer.timer", "apport.service",
            "mdcheck_start.timer", "mdcheck_continue.timer", "snapd.service", "snapd.socket", "snapd.seeded.service",
            # nvme-cli's, for disks over a network: each waits at boot for fabrics that no node has.
            "nvmf-autoconnect.service", "nvmefc-boot-connections.service",
        )
    },
}  # fmt: skip
"""Symbolic links: what `systemctl enable` and `mask` would make."""


def _environment() -> Environment:
    return Environment(
        undefined=StrictUndefined,
        comment_start_string="<#",  # the default, {#, is how a shell script writes the length of an array
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def render_file(source: Path, cloud: Cloud) -> str:
    """A template for a cloud. Raises jinja2.UndefinedError for a name or component that there is none of."""
    pinned = versions.load()
    return (
        _environment()
        .from_string(source.read_text())
        .render(
            cloud=cloud,
            datasource=DATASOURCES[cloud],
            components=versions.components(cloud),
            keys=pinned["keys"],
            os=pinned["os"],
            versions_json=json.dumps(versions.node_document(), indent=1),
        )
    )


def sources() -> Iterator[tuple[Path, Path]]:
    """(source, path on the node) of every file, sorted."""
    for path in sorted(ROOTFS.rglob("*")):
        if path.is_file() and not path.is_symlink():
            target = path.relative_to(ROOTFS)
            yield path, target.with_suffix("") if target.suffix == ".j2" else target


def paths(cloud: Cloud) -> list[Path]:
    """Every file and link that `render` makes, relative to the root."""
    programs = [APP / path.relative_to(PROGRAMS.parent) for path in _programs()]
    return sorted([target for _, target in sources()] + programs + list(LINKS))


def _programs() -> list[Path]:
    package = PROGRAMS.parent
    found = sorted(path for path in PROGRAMS.rglob("*.py") if "__pycache__" not in path.parts)
    return [package / "__init__.py", package / "node.py", *found]


def render(cloud: Cloud, target: Path) -> None:
    """Writes the tree into `target`, which is made; files that are there already are replaced, others stay.

    Modes are 0755 for what can be executed in the source and 0644 otherwise, whatever the umask. Owners are the
    caller's, root on the node. Raises ValueError for a cloud that there is none of, OSError.
    """
    if cloud not in CLOUDS:
        raise ValueError(f"cloud: {cloud!r}, expected one of {', '.join(CLOUDS)}")
    for source, path in sources():
        executable = bool(source.stat().st_mode & stat.S_IXUSR)
        content = render_file(source, cloud) if source.suffix == ".j2" else source.read_text()
        _write(target / path, content, 0o755 if executable else 0o644)
    for source in _programs():
        _write(target / APP / source.relative_to(PROGRAMS.parent), source.read_text(), 0o644)
    for path, to in LINKS.items():
        link = target / path
        _folder(link.parent)
        link.unlink(missing_ok=True)
        link.symlink_to(to)


def render_install(cloud: Cloud, target: Path) -> None:
    """Writes the bake scripts of a cloud and the locks that they install from into `target`.

    Scripts are numbered NN-name.sh and run in that order as root, in this folder, with the tree in ../rootfs.
    """
    if cloud not in CLOUDS:
        raise ValueError(f"cloud: {cloud!r}, expected one of {', '.join(CLOUDS)}")
    for source in sorted(INSTALL.iterdir()):
        if source.name.endswith((".sh", ".sh.j2")):
            content = render_file(source, cloud) if source.suffix == ".j2" else source.read_text()
            _write(target / source.name.removesuffix(".j2"), content, 0o755 if source.name[0].isdigit() else 0o644)
    for name in ("vllm", "node"):
        _write(target / f"{name}.txt", (REQUIREMENTS / f"{name}.txt").read_text(), 0o644)
    if (compiled := CACHES / f"{cloud}.tar.gz").is_file():
        shutil.copyfile(compiled, target / "caches.tar.gz")
        (target / "caches.tar.gz").chmod(0o644)


def _folder(path: Path) -> None:
    if not path.is_dir():
        _folder(path.parent)
        path.mkdir()
        path.chmod(0o755)


def _write(path: Path, content: str, mode: int) -> None:
    _folder(path.parent)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_text(content)
    path.chmod(mode)
