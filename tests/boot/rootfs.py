"""A Debian root file system with the node's file tree: what a bake leaves, without drivers and with a stand-in engine.

Debian by mmdebstrap from the machine's own apt sources, the node's Python packages by pip as it is configured; both are
kept under the user's cache by the hash of what went in. `python -m tests.boot.rootfs DIR` makes one to look at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import platformdirs
from filelock import FileLock

from images import tree
from images.node import Cloud

ROOT: Final = Path(__file__).resolve().parents[2]
SUITE: Final = "bookworm"
PYTHON: Final = "3.11"
"""Of the suite; packages of the node's environment are chosen for it, whatever Python runs this."""
PACKAGES: Final = (
    "ca-certificates", "cloud-init", "dbus", "initramfs-tools", "iproute2", "kmod", "linux-image-cloud-amd64", "mdadm",
    "nginx-light", "nvme-cli", "openssl", "python3", "python3-venv", "systemd-resolved", "systemd-sysv", "udev",
    "xfsprogs",
)  # fmt: skip
SITE: Final = f"/opt/spillway/venv/lib/python{PYTHON}/site-packages"
REQUIREMENTS: Final = ROOT / "images" / "requirements"
ENGINE_FILES: Final = (
    "tests/__init__.py", "tests/support/__init__.py", "tests/support/node/__init__.py",
    "tests/support/node/vllm_stand_in.py",
)  # fmt: skip
WORK: Final = Path("/var/tmp/spillway-boot")
"""Not below /tmp: the container has a file system of its own there, which hides what is bound."""

NETWORK: Final = """\
[Match]
Name=en* eth*
[Network]
DHCP=ipv4
LinkLocalAddressing=no
"""
# `vllm` as the unit starts it: the stand-in takes vLLM's command line, and the name of the model by its own option.
VLLM: Final = """\
#!/opt/spillway/venv/bin/python
import sys
sys.path.insert(0, "/opt/vllm/stand-in")
from tests.support.node.vllm_stand_in import main
given = sys.argv[1:]
if "--served-model-name" in given:
    sys.argv += ["--model", given[given.index("--served-model-name") + 1]]
main()
"""
# A shell without a network, for a machine that has none of ours: one line of JSON in, one out.
AGENT: Final = '''\
"""Runs what comes over a serial line: `{"run": "command", "timeout": seconds}` -> `{"code": n, "out": text}`."""
import base64, json, subprocess, sys, termios, tty
line = open(sys.argv[1], "r+b", buffering=0)
tty.setraw(line.fileno(), termios.TCSANOW)
line.write(b"\\nagent\\n")
rest = b""
while True:
    while b"\\n" not in rest:
        rest += line.read(4096)
    one, rest = rest.split(b"\\n", 1)
    try:
        asked = json.loads(base64.b64decode(one))
    except ValueError:
        continue
    try:
        done = subprocess.run(asked["run"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL, timeout=asked.get("timeout", 60))
        code, out = done.returncode, done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        code, out = 124, (error.stdout or b"").decode("utf-8", "replace")
    answer = base64.b64encode(json.dumps({"id": asked.get("id"), "code": code, "out": out}).encode())
    line.write(b"=" + answer + b"\\n")
'''
AGENT_UNIT: Final = """\
[Unit]
Description=A shell for the test
DefaultDependencies=no
After=systemd-udevd.service dev-ttyS1.device
[Service]
ExecStart=/usr/bin/python3 /usr/local/libexec/boot-agent.py /dev/ttyS1
Restart=always
RestartSec=1
"""
MASKED: Final = (
    "getty.target", "serial-getty@.service", "systemd-firstboot.service", "apt-daily.timer", "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "networking.service",
)  # fmt: skip
"""Nothing of the image's: what only takes time in a machine that lives for a minute."""


def cache() -> Path:
    """Where finished root file systems and packages are kept between runs."""
    return platformdirs.user_cache_path("spillway", appauthor=False) / "boot"


def say(text: str) -> None:
    print(f"  boot: {text}", file=sys.stderr, flush=True)


def digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextmanager
def _kept(name: str, what: str) -> Iterator[Path | None]:
    """(folder to fill | None) of a cache entry: by rename, once, whoever comes second waits. The entry is
    cache()/name.
    """
    final = cache() / name
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{final}.lock"):
        if final.is_dir():
            yield None
            return
        say(f"{what}, once ...")
        began = time.monotonic()
        half = final.with_name(f".{name}.{os.getpid()}")
        shutil.rmtree(half, ignore_errors=True)
        try:
            yield half
            half.rename(final)
        finally:
            shutil.rmtree(half, ignore_errors=True)
        say(f"{what}: {time.monotonic() - began:.0f} s")


def _apt_sources() -> list[str]:
    """The machine's own, when it is of the same suite; none lets mmdebstrap take Debian's."""
    release = Path("/etc/os-release").read_text()
    if f"VERSION_CODENAME={SUITE}" not in release:
        return []
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    mine = [place for place in places if place.suffix in (".list", ".sources") and place.is_file()]
    return [str(place) for place in mine if f"{SUITE}" in place.read_text()]


def base(timeout: float = 900) -> Path:
    """The folder with Debian in it."""
    name = f"debian-{digest(SUITE, *PACKAGES)}"
    with _kept(name, f"Debian {SUITE} with {len(PACKAGES)} packages") as folder:
        if folder is not None:
            command = [
                "mmdebstrap", "--quiet", "--mode=root", "--variant=important", "--format=directory",
                f"--include={','.join(PACKAGES)}",
                # Manuals and translations: a third of the files.
                "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                # It is renamed into place when it is whole; no file has to be on the disk before.
                "--dpkgopt=force-unsafe-io",
                SUITE, str(folder), *_apt_sources(),
            ]  # fmt: skip
            _run(command, timeout=timeout)
            # Where the packages came from is the machine's business.
            for place in (folder / "etc/apt/sources.list", *(folder / "etc/apt/sources.list.d").glob("*")):
                place.unlink(missing_ok=True)
    return cache() / name


def requirements() -> Path:
    """The hash-locked file where there is one."""
    locked, named = REQUIREMENTS / "node.txt", REQUIREMENTS / "node.in"
    return locked if locked.is_file() else named


def packages(timeout: float = 600) -> Path:
    """The folder with the node's Python packages, as a root file system has them: below SITE."""
    source = requirements()
    name = f"python-{digest(SITE, source.read_text())}"
    with _kept(name, f"the node's Python packages ({source.name})") as whole:
        if whole is not None:
            folder = whole / SITE[1:]
            folder.mkdir(parents=True)
            for place in (folder, *folder.parents[: len(Path(SITE).parts) - 1]):
                place.chmod(0o755)  # it lies above Debian's, whatever the umask
            command = [
                sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder),
                "--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:",
                "--platform", "manylinux_2_34_x86_64", "--platform", "manylinux_2_28_x86_64",
                "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64",
                "--requirement", str(source),
            ]  # fmt: skip
            _run(command, timeout=timeout)
            # As a bake does it: the first start of a program is no slower than the second.
            subprocess.run(
                ["/usr/bin/python3", "-m", "compileall", "-q", "-j", "0", "-s", str(folder), "-p", SITE, str(folder)],
                check=False,
                timeout=timeout,
            )
    return cache() / name


def make(
    target: Path,
    cloud: Cloud = "aws",
    *,
    environment: dict[str, str] | None = None,
    seed: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
    agent: bool = False,
) -> Path:
    """A bootable root in `target`, which must not exist; the path again.

    environment: /etc/spillway/environment, where stand-ins are. seed: files of a NoCloud seed, without which the
    cloud's own data source is asked. files: more of them, by path, scripts by their first line. agent: the shell on
    /dev/ttyS1. Whoever makes one takes it away by `remove`.
    """
    with ThreadPoolExecutor() as both:  # one waits for the mirror while the other compiles
        layers = [both.submit(one) for one in (base, packages)]
    _lay(target, *(one.result() for one in layers))
    tree.render(cloud, target)
    _venv(target)
    _engine(target)
    # As the bake's last step does it, so that no package's user comes in between.
    _run(["systemd-sysusers", f"--root={target}"], timeout=60)
    write(target, "etc/spillway/environment", "".join(f"{k}={v}\n" for k, v in (environment or {}).items()))
    write(target, "etc/systemd/network/80-spillway.network", NETWORK)
    write(target, "etc/cloud/cloud.cfg.d/99-network.cfg", "network: {config: disabled}\n")
    write(target, "etc/machine-id", "")
    write(target, "etc/resolv.conf", "")
    write(target, "etc/fstab", "")
    for name, text in (files or {}).items():
        write(target, name, text, 0o755 if text.startswith("#!") else 0o644)
    if seed is not None:
        write(target, "etc/cloud/cloud.cfg.d/99-seed.cfg", "datasource_list: [NoCloud, None]\n")
        for name, text in seed.items():
            write(target, f"var/lib/cloud/seed/nocloud/{name}", text)
    units = target / "etc/systemd/system"
    for name in MASKED:
        link(units / name, "/dev/null")
    link(units / "multi-user.target.wants/systemd-networkd.service", "/lib/systemd/system/systemd-networkd.service")
    if agent:
        write(target, "usr/local/libexec/boot-agent.py", AGENT)
        write(target, "etc/systemd/system/boot-agent.service", AGENT_UNIT)
        link(units / "sysinit.target.wants/boot-agent.service", "../boot-agent.service")
    return target


def _lay(target: Path, *layers: Path) -> None:
    """What is in the cache, at `target`, for reading and writing: in layers, which takes no time and no space, and as a
    copy where the kernel has no overlays, or not above this file system (in most containers).
    """
    target.mkdir(parents=True)
    above, work = (target.with_name(f".{target.name}.{part}") for part in ("above", "work"))
    above.mkdir()
    above.chmod(0o755)
    work.mkdir()
    # The first of them is the uppermost; whatever they differ in, no path of theirs has a colon.
    lower = ":".join(str(layer) for layer in reversed(layers))
    options = f"lowerdir={lower},upperdir={above},workdir={work}"
    command = ["mount", "-t", "overlay", "spillway-boot", "-o", options, str(target)]
    if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False).returncode:
        for layer in layers:
            _run(["cp", "-a", "--reflink=auto", f"{layer}/.", str(target)], timeout=300)


def remove(target: Path) -> None:
    """Takes away what `make` has made; nothing where there is nothing."""
    if target.is_mount():
        _run(["umount", str(target)], timeout=60)
    for place in (target, *(target.with_name(f".{target.name}.{part}") for part in ("above", "work"))):
        shutil.rmtree(place, ignore_errors=True)


def write(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    """One file below `root`."""
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink():
        place.unlink()
    place.write_text(text)
    place.chmod(mode)


def link(place: Path, to: str) -> None:
    """One symbolic link, instead of whatever was there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(to)


def _venv(target: Path) -> None:
    venv = target / "opt/spillway/venv"
    (venv / "bin").mkdir()
    for name in ("python", "python3"):
        link(venv / "bin" / name, f"/usr/bin/python{PYTHON}")
    text = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
    write(target, "opt/spillway/venv/pyvenv.cfg", text)
    app = str(target / "opt/spillway/app")
    compiled = ["/usr/bin/python3", "-m", "compileall", "-q", "-s", app, "-p", "/opt/spillway/app", app]
    subprocess.run(compiled, check=False, timeout=120)


def _engine(target: Path) -> None:
    for name in ENGINE_FILES:
        write(target, f"opt/vllm/stand-in/{name}", (ROOT / name).read_text())
    write(target, "opt/vllm/bin/vllm", VLLM, 0o755)


def _run(command: list[str], timeout: float) -> None:
    """Raises RuntimeError with the last lines of what the command said."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise RuntimeError(f"{command[0]}: exit code {done.returncode}\n{said}")


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {Path(sys.argv[0]).name} DIR", file=sys.stderr)
        return 2
    began = time.monotonic()
    print(make(Path(sys.argv[1]).absolute(), seed={"meta-data": "instance-id: look\n", "user-data": "#cloud-config\n"}))
    say(f"{time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
