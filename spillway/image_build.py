"""`spillway image build`: Packer found, started, listened to; what it made goes into the manifest.

Packer has the credentials of its own accord (the environment, `az login`, application default credentials): none
passes through here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from images import bake as source
from images import manifest
from spillway.errors import SpillwayError
from spillway.subprocesses import end_group, run, terminate_as_exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from images.bake import Bake
    from images.manifest import Baked

PACKER: Final = "SPILLWAY_PACKER"
"""Path of the packer to use instead of the one on PATH."""
INIT_SECONDS: Final = 600.0
BUILD_SECONDS: Final = 3 * 3600.0
"""An image with its copies takes 30 to 60 minutes; after this Packer is asked to end, and cleans up."""
CLEANUP_SECONDS: Final = 900.0
PACKER_MANIFEST: Final = "packer-manifest.json"
TOLD: Final = 6
"""Lines of Packer's end that an error repeats."""
# With -color=false: `==> amazon-ebs.node: ...`, and errors as `Error: ...` or `==> amazon-ebs.node: ...error...`.
_FAULT: Final = re.compile(r"^(Error|\* |Build '.*' errored|==> .*(?i:error|denied|unauthori|quota|not found))")
VERSION: Final = re.compile(r"v?([0-9]+)\.([0-9]+)\.([0-9]+)")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Packer:
    """The program and its version."""

    path: str
    version: tuple[int, int, int]

    def __str__(self) -> str:
        return ".".join(str(part) for part in self.version)


def find() -> Packer:
    """The packer of SPILLWAY_PACKER or PATH. Raises SpillwayError for none, or one without a version."""
    wanted = os.environ.get(PACKER)
    path = shutil.which(wanted or "packer")
    pinned = source.pins()["core"]
    if path is None:
        where = f"{PACKER} = {wanted}: there is no such program" if wanted else "packer is not on PATH"
        raise SpillwayError(f"{where}; Packer {pinned['version']} is at {pinned['source']}")
    finished = run([path, "version"], timeout=60)
    match = next((found for line in finished.tail if (found := VERSION.search(line))), None)
    if not finished.ok or match is None:
        raise SpillwayError(f"{path}: `version` says no version of Packer: {_last(finished.tail)}")
    major, minor, patch = (int(part) for part in match.groups())
    return Packer(path, (major, minor, patch))


def check_version(packer: Packer) -> None:
    """Refuses a packer that cannot install the pinned plugins. Raises SpillwayError."""
    least = source.pins()["core"]["least"]
    if packer.version < tuple(int(part) for part in least.split(".")):
        raise SpillwayError(
            f"{packer.path} is Packer {packer}: the pinned plugins need {least} or newer "
            f"({source.pins()['core']['source']})"
        )


def refuse_existing(bake: Bake, baked: Sequence[Baked], checksum: str) -> None:
    """A version is baked once: stack files that name it would otherwise mean another image. Raises SpillwayError."""
    for one in baked:
        if (one.account, one.family, one.version) == (bake.account, bake.family, bake.version):
            same = "from this very source" if one.source == checksum else "from another source"
            raise SpillwayError(
                f"{bake.cloud}: {bake.family} {bake.version} is baked already, {same}; "
                "give the new image a version of its own (--image-version)"
            )


def check_account(bake: Bake) -> None:
    """Refuses credentials of another AWS account than the stack files'; on the others the template names it.

    Raises SpillwayError.
    """
    if bake.cloud != "aws":
        return
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = boto3.client("sts", region_name=bake.region).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise SpillwayError(f"aws: cannot tell whose credentials these are: {' '.join(str(error).split())}") from None
    if found != bake.account:
        raise SpillwayError(f"aws: the credentials are of account {found}, the stack files say {bake.account}")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One build of a cloud at a time: two would write the same manifest. Raises SpillwayError."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise SpillwayError(f"{folder}: another `spillway image build` works here") from None


def build(
    bake: Bake, work: Path, manifests: Path, packer: Packer, *, variables: Sequence[str], say: Say
) -> tuple[Baked, Path]:
    """Bakes one image: `packer init`, `packer build`, and the entry in the manifest. Returns the entry and its file.

    work: folder for what is rendered. variables: `name=value` for Packer. say: gets each line of progress. Raises
    SpillwayError; Packer has then taken its builder away.
    """
    baked = _loaded(manifests, bake)
    try:
        source.refuse_faults()
        rendered = source.write(bake, work)
    except ValueError as error:
        raise SpillwayError(f"{bake.cloud}: {error}") from None
    refuse_existing(bake, baked, rendered.checksum)
    folder = work / "packer"
    say(f"source {rendered.checksum[:12]}, archive of {len(rendered.archive) / 1e6:.1f} MB")
    _packer(packer, ["init", "."], folder, bake, INIT_SECONDS, say)
    words = [word for one in variables for word in ("-var", one)]
    _packer(packer, ["build", "-color=false", "-on-error=cleanup", *words, "."], folder, bake, BUILD_SECONDS, say)
    try:
        when, ids = manifest.from_packer(folder / PACKER_MANIFEST, bake.cloud, bake.regions)
    except manifest.Unreadable as error:
        raise SpillwayError(f"{bake.cloud}: {error}") from None
    entry = manifest.Baked(
        bake.family, bake.version, bake.account, rendered.checksum, when, ids,
        manifest.components(rendered.components, folder / source.COMPONENTS),
    )  # fmt: skip
    path = manifest.save(manifests, bake.cloud, manifest.add(baked, entry))
    missing = [region for region in bake.regions if "global" not in ids and region not in ids]
    if missing:
        raise SpillwayError(f"{bake.cloud}: {bake.version} is baked, but not in {', '.join(missing)} (see {path})")
    return entry, path


def _loaded(manifests: Path, bake: Bake) -> list[Baked]:
    try:
        return manifest.load(manifests, bake.cloud)
    except manifest.Unreadable as error:
        raise SpillwayError(str(error)) from None


def _packer(packer: Packer, words: Sequence[str], folder: Path, bake: Bake, seconds: float, say: Say) -> None:
    env = {
        **os.environ,
        "CHECKPOINT_DISABLE": "1",  # no call home: https://developer.hashicorp.com/packer/docs/configure
        "PACKER_NO_COLOR": "1",
    }
    faults: list[str] = []
    tail: deque[str] = deque(maxlen=TOLD)

    def hear(line: str) -> None:
        if line.strip():
            say(line)
            tail.append(line)
            if _FAULT.search(line):
                faults.append(line.strip())

    code, timed_out = _listen([packer.path, *words], env, folder, seconds, hear)
    if code == 0 and not timed_out:
        return
    with suppress(OSError):
        (folder / PACKER_MANIFEST).unlink(missing_ok=True)
    what = f"{bake.cloud}: `packer {words[0]}`"
    if timed_out:
        raise SpillwayError(f"{what} was not done after {seconds / 60:.0f} minutes and has been ended")
    told = [*dict.fromkeys(faults)][-TOLD:] or [_last(tuple(tail))]
    raise SpillwayError(f"{what} ended with {code}:", *(f"  {line}" for line in told))


def _listen(argv: Sequence[str], env: Mapping[str, str], cwd: Path, seconds: float, hear: Say) -> tuple[int, bool]:
    """(exit code, whether it took longer than `seconds`) of a child, its output line by line.

    Not `spillway.subprocesses.run`, which ends a child within seconds: an interrupted Packer needs minutes to take its
    builder away, and that costs money as long as it is there. So whatever interrupts this (Ctrl-C, SIGTERM, the time
    limit) is one SIGINT to Packer alone, which then has CLEANUP_SECONDS; a second interrupt ends it at once.
    """
    with terminate_as_exit():
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C of the terminal is ours to hand on, once
        )
        expired, ended = threading.Event(), threading.Event()

        def limit() -> None:
            if not ended.wait(seconds):
                expired.set()
                process.send_signal(signal.SIGINT)
                if not ended.wait(CLEANUP_SECONDS):
                    end_group(process)

        threading.Thread(target=limit, daemon=True).start()
        assert process.stdout is not None
        try:
            _drain(process, hear)
        except BaseException:
            process.send_signal(signal.SIGINT)
            hear("interrupted: Packer takes its builder away (once more ends it at once, and may leave the builder)")
            late = threading.Timer(CLEANUP_SECONDS, end_group, [process])
            late.daemon = True
            late.start()
            try:
                _drain(process, hear)
            finally:
                late.cancel()
                end_group(process)
            raise
        finally:
            ended.set()
            process.stdout.close()
        return process.returncode, expired.is_set()


def _drain(process: subprocess.Popen[str], hear: Say) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        hear(line.rstrip())
    process.wait()


def _last(tail: Sequence[str]) -> str:
    said = [line.strip() for line in tail if line.strip()]
    return said[-1] if said else "it said nothing"
