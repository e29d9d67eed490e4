"""The static rung: everything about an image that can be found wrong without booting it.

Each check renders the cloud's tree for itself, says which tool it needs, and is passed over with that reason where the
tool is missing. Used by `spillway image validate` and by the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from jinja2 import TemplateError

from images import versions
from images.node import Cloud, Drain, Hooks, Limits, Model, NodeConfig, Secrets, Serving
from images.programs import front
from images.render import render_user_data
from images.tree import UNITS, render, render_install

Level = Literal["fault", "skipped"]

TOP_LEVEL: Final = frozenset({"write_files"})
"""What user data may hold: cloud-init passes over keys that it does not know, so a slip would be silence."""
CONFIGURED: Final = frozenset(
    {
        "datasource_list", "cloud_init_modules", "cloud_config_modules", "cloud_final_modules", "preserve_hostname",
        "manage_etc_hosts", "disable_root", "ssh_pwauth",
    }
)  # fmt: skip
"""The same for the image's own file in /etc/cloud/cloud.cfg.d."""

EXPOSURE: Final = {
    "nginx.service": 2.6,
    "spillway-drain@.service": 1.8,
    "spillway-front-drain.service": 0.9,
    "spillway-front.service": 0.9,
    "spillway-gate.service": 1.3,
    "spillway-gpu-exporter.service": 2.0,
    "spillway-lifecycle.service": 1.8,
    "spillway-logs.service": 1.5,
    "spillway-node-exporter.service": 1.5,
    "spillway-peers.service": 1.8,
    "spillway-ray-head.service": 2.4,
    "spillway-ray-worker.service": 2.4,
    "spillway-secrets.service": 1.9,
    "spillway-shutdown.service": 1.8,
    "spillway-spotwatch.service": 1.8,
    "spillway-stage.service": 2.7,
    "spillway-storage.service": 5.9,
    "spillway-telemetry.service": 1.5,
    "vllm.service": 2.4,
}
"""Most that `systemd-analyze security` may say (0 safe, 10 exposed); a ratchet: a unit without an entry is a fault.
Storage mounts for everybody, so it can have no mount namespace of its own, which is most of the rest."""
MEASURED_WITH: Final = 252
"""Release of systemd, Debian 12's; others know more or less to object to, so they are allowed OTHERS more."""
OTHERS: Final = 0.4
TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """check: its name. subject: file or unit, without the temporary folder. message: one line."""

    check: str
    subject: str
    message: str
    level: Level = "fault"

    def __str__(self) -> str:
        return f"{self.check}: {self.subject}: {self.message}"


class Missing(Exception):
    """A tool is not installed; the message says which, and its Debian package."""


TOOLS: Final = {
    "bash": "bash",
    "shellcheck": "shellcheck",
    "cloud-init": "cloud-init",
    "systemd-analyze": "systemd",
    "nginx": "nginx-light",
    "openssl": "openssl",
}
"""Tool -> Debian package."""


def tool(name: str) -> str:
    """Its path. Raises Missing."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise Missing(f"{name} is not installed (apt-get install {TOOLS[name]})")
    return found


def call(*words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Runs a tool; its output is one text, stdout before stderr."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, check=False, timeout=TIMEOUT, stdin=subprocess.DEVNULL, **more,
    )  # fmt: skip


def sample(cloud: Cloud) -> NodeConfig:
    """A node such as a region of the cloud makes it."""
    store = {"aws": "s3", "azure": "az", "gcp": "gs", "tencent": "cos"}[cloud]
    return NodeConfig(
        cloud=cloud,
        region="region",
        stack=f"{cloud}-region",
        pool="spot",
        group="spillway-spot",
        hooks=Hooks(launching="ready", terminating="drain") if cloud == "aws" else None,
        serving=Serving(name="llm.example.com", probe_port=8080 if cloud == "gcp" else None),
        model=Model(
            uri=f"{store}://bucket/models/m/r/", name="m", revision="r", dtype="bfloat16", quantization=None,
            kv_cache_dtype="auto", tensor_parallel=8, pipeline_parallel=1, max_model_len=32768, max_num_seqs=32,
            gpu_memory_utilization=0.9,
        ),
        limits=Limits(queue=100, ttft_p50_ms=10_000, error_rate=0.05),
        drain=Drain(notice_seconds=30, deregister_seconds=6, drain_seconds=15),
        boot_minutes=20,
        secrets=Secrets(certificate="spillway-certificate", api_keys="spillway-api-keys"),
    )  # fmt: skip


# -- the checks: each takes the cloud and the rendered tree, and yields what is wrong


def templates(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """No mark of a template is left, and Python files are Python."""
    for path in files(root):
        text = path.read_text()
        subject = str(path.relative_to(root))
        if path.suffix == ".py":
            try:
                compile(text, subject, "exec")
            except SyntaxError as error:
                yield Finding("templates", subject, f"line {error.lineno}: {error.msg}")
        elif re.search(r"\{%|\{\{", text):
            yield Finding("templates", subject, "has a mark of a template left in it")


def shell(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """Scripts of the tree and of the bake: bash -n and shellcheck."""
    bash = tool("bash")
    scripts = [path for path in files(root) if is_script(path)]
    baking = root.parent / "install"
    if not baking.exists():
        render_install(cloud, baking)
    scripts += sorted(baking.glob("*.sh"))
    for path in scripts:
        done = call(bash, "-n", path)
        if done.returncode != 0:
            yield Finding("shell", _subject(path, root), _line(done.stderr, root))
    checker = tool("shellcheck")
    done = call(checker, "--format=gcc", "--external-sources", "--source-path=SCRIPTDIR", *scripts)
    for line in done.stdout.splitlines():
        yield Finding("shell", _subject(Path(line.split(":", 1)[0]), root), _line(line.split(":", 1)[-1], root))


def user_data(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """User data of a node: only keys that are meant, and cloud-init's own schema."""
    text = render_user_data(sample(cloud))
    unknown = sorted(set(yaml.safe_load(text)) - TOP_LEVEL)
    if unknown:
        yield Finding("user data", "user data", f"has {', '.join(unknown)}; expected only {', '.join(TOP_LEVEL)}")
    for path in sorted((root / "etc/cloud/cloud.cfg.d").glob("*.cfg")):
        if strange := sorted(set(yaml.safe_load(path.read_text())) - CONFIGURED):
            yield Finding("user data", _subject(path, root), f"has {', '.join(strange)}, which nobody expects")
    command = tool("cloud-init")
    file = root.parent / "user-data.yaml"
    file.write_text(text)
    done = call(command, "schema", "--config-file", file)
    if done.returncode != 0:
        yield Finding("user data", "user data", _line(done.stdout + done.stderr, root))


def units(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """`systemd-analyze verify` says nothing at all: unknown keys are only said, not counted."""
    analyze = tool("systemd-analyze")
    stage(root)
    names = [_instance(path.name) for path in unit_files(root)]
    done = call(analyze, "verify", "--man=no", "--recursive-errors=one", f"--root={root}", *names)
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for line in said:
        yield Finding("units", "systemd", _line(line, root))
    if done.returncode != 0 and not said:
        yield Finding("units", "systemd", f"systemd-analyze verify ends with {done.returncode}")


def security(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """No unit is more exposed than it was."""
    analyze = tool("systemd-analyze")
    stage(root)
    release = re.search(r"systemd (\d+)", call(analyze, "--version").stdout)
    more = 0.0 if release and int(release[1]) == MEASURED_WITH else OTHERS
    for path in unit_files(root):
        if path.suffix != ".service":
            continue
        done = call(analyze, "security", "--offline=true", "--no-pager", f"--root={root}", _instance(path.name))
        found = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
        if found is None:
            yield Finding("security", path.name, _line(done.stderr or done.stdout, root))
            continue
        score, most = float(found[1]), EXPOSURE.get(path.name)
        if most is None:
            yield Finding("security", path.name, f"has exposure {score}, and no limit in images/check.py")
        elif score > most + more:
            yield Finding("security", path.name, f"has exposure {score}, at most {most} was reached before")


def nginx(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """`nginx -t` on the tree, with and without a probe port, draining or not."""
    command, _ = tool("nginx"), tool("openssl")
    base = sample(cloud).serving
    for port, draining in ((None, False), (base.port + 1, True)):
        serving = base.model_copy(update={"probe_port": port})
        with tempfile.TemporaryDirectory(prefix="spillway-nginx-") as folder:
            configuration = place_nginx(root, Path(folder), serving, draining=draining)
            done = call(command, "-t", "-q", "-c", configuration)
            said = (done.stdout + done.stderr).strip()
            for line in said.splitlines() or ([f"exit code {done.returncode}"] if done.returncode else []):
                yield Finding("nginx", "etc/nginx/nginx.conf", line.replace(folder, ""))


def components(cloud: Cloud, root: Path) -> Iterator[Finding]:
    """The versions go together."""
    for line in versions.check():
        yield Finding("versions", "images/versions.yaml", line)


CHECKS: Final[tuple[Callable[[Cloud, Path], Iterator[Finding]], ...]] = (
    templates, shell, user_data, units, security, nginx, components,
)  # fmt: skip


def run(cloud: Cloud) -> list[Finding]:
    """Every check of one cloud. What is missing on this machine comes as `skipped`, with its reason."""
    found: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        with tempfile.TemporaryDirectory(prefix="spillway-check-") as folder:
            root = Path(folder) / "root"
            try:
                render(cloud, root)
                found += check(cloud, root)
            except Missing as error:
                found.append(Finding(name, cloud, str(error), "skipped"))
            except (TemplateError, subprocess.TimeoutExpired, OSError, ValueError) as error:
                found.append(Finding(name, cloud, " ".join(str(error).split()) or type(error).__name__))
    return found


# -- how a tree is made checkable


def files(root: Path) -> list[Path]:
    """Regular files, no links."""
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def is_script(path: Path) -> bool:
    """By its first line."""
    with path.open("rb") as file:
        return bool(re.match(rb"#!\s*(/usr/bin/env (ba)?sh|/bin/(ba)?sh)\b", file.readline()))


def unit_files(root: Path) -> list[Path]:
    """Units of the tree; masks and drop-ins are none."""
    found = sorted((root / UNITS).iterdir())
    return [path for path in found if path.is_file() and not path.is_symlink()]


def stage(root: Path) -> None:
    """Adds what a whole system has and the tree has not: systemd's own units, and an executable for each command."""
    target = root / "lib/systemd/system"
    if target.exists():
        return
    host = next(Path(at) for at in ("/usr/lib/systemd/system", "/lib/systemd/system") if Path(at).is_dir())
    shutil.copytree(host, target, symlinks=True)
    for unit in unit_files(root):
        for word in re.findall(r"^Exec\w+=[-+!@:]*(/\S+)", unit.read_text(), re.MULTILINE):
            command = root / word.lstrip("/")
            if not command.exists():
                command.parent.mkdir(parents=True, exist_ok=True)
                command.write_text("#!/bin/sh\n")
                command.chmod(0o755)


def place_nginx(
    root: Path, folder: Path, serving: Serving, *, draining: bool = False, replace: Sequence[tuple[str, str]] = ()
) -> Path:
    """nginx's configuration as it is on the node, but below `folder`; its path. `replace`: texts of it to replace.

    For a machine that is no node: files and sockets of /run, and the user, are this one's.
    """
    shutil.copytree(root / "etc/nginx", folder / "etc/nginx")
    (folder / "run/nginx").mkdir(parents=True)
    front.write_files(folder / "run/spillway/nginx", serving, draining=draining)
    front.self_signed(folder / "run/spillway/tls")
    conf = folder / "etc/nginx/nginx.conf"
    for path in (*files(folder / "etc/nginx"), *files(folder / "run/spillway/nginx")):
        text = path.read_text()
        for old, new in replace:
            text = text.replace(old, new)
        for place in ("/etc/nginx/", "/run/"):
            text = re.sub(rf"(?<![\w/]){re.escape(place)}", f"{folder}{place}", text)
        path.write_text(text)
    if os.geteuid() != 0:  # ports below 1024 and another user are root's to have
        conf.write_text(conf.read_text().replace("user www-data;", ""))
        listen = folder / "run/spillway/nginx/listen.conf"
        listen.write_text(listen.read_text().replace("listen 443 ", "listen 20443 "))
    elif not _user("www-data"):
        conf.write_text(conf.read_text().replace("user www-data;", "user root;"))
    return conf


def _user(name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in Path("/etc/passwd").read_text().splitlines())


def _instance(name: str) -> str:
    return name.replace("@.", "@spot.")


def _subject(path: Path, root: Path) -> str:
    for base in (root, root.parent):
        if path.is_relative_to(base):
            return str(path.relative_to(base))
    return str(path)


def _line(text: str, root: Path) -> str:
    return " ".join(text.replace(f"{root}/", "").replace(f"{root.parent}/", "").split())
