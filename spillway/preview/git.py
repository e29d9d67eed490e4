"""What a change is, as git has it: the commit it is compared with, its files, and a checkout of before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from spillway.errors import SpillwayError

SHORT: Final = 12


def run(root: Path, *arguments: str) -> str:
    """What git prints. Raises SpillwayError with git's own words."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, errors="replace"
        )
    except FileNotFoundError:
        raise SpillwayError("git: there is no such program; it is needed to compare with another commit") from None
    if done.returncode:
        told = " ".join(done.stderr.split()) or f"git {arguments[0]} failed"
        raise SpillwayError(f"{root}: {told}")
    return done.stdout


def fork_point(root: Path, base: str) -> str:
    """The commit at which the checkout left `base`: what a pull request is compared with. Raises SpillwayError."""
    try:
        run(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    except SpillwayError:
        raise SpillwayError(
            f"--base {base}: no such commit here; fetch it first (`git fetch origin {base}`), or name another"
        ) from None
    try:
        return run(root, "merge-base", base, "HEAD").strip()
    except SpillwayError:
        raise SpillwayError(
            f"--base {base}: has no commit in common with HEAD here; a shallow clone lacks it (`git fetch --unshallow`)"
        ) from None


def changed(root: Path, commit: str) -> list[str]:
    """Files that differ from a commit, not committed ones included, renames as both names."""
    told = run(root, "diff", "--name-only", "--no-renames", "-z", commit)
    new = run(root, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted({path for path in (*told.split("\0"), *new.split("\0")) if path})


def stack_files(root: Path, commit: str) -> dict[str, str]:
    """Stack files of a commit: name of the stack -> text."""
    names = run(root, "ls-tree", "--name-only", "-z", commit, "stacks/").split("\0")
    found = {}
    for path in names:
        name = path.removeprefix("stacks/")
        if name.startswith("Pulumi.") and name.endswith(".yaml"):
            found[name.removeprefix("Pulumi.").removesuffix(".yaml")] = run(root, "show", f"{commit}:{path}")
    return found


def head(root: Path) -> str:
    """The commit that is checked out, shortened; with a plus when files differ from it."""
    commit = run(root, "rev-parse", "HEAD").strip()[:SHORT]
    return commit + ("+" if run(root, "status", "--porcelain", "--untracked-files=no").strip() else "")


@contextmanager
def checkout(root: Path, commit: str) -> Iterator[Path]:
    """A folder with the files of a commit, gone afterwards. Nothing of the checkout itself is touched."""
    with TemporaryDirectory(prefix="spillway-base-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "base"
        run(root, "worktree", "add", "--detach", "--quiet", str(path), commit)
        try:
            yield path
        finally:
            run(root, "worktree", "remove", "--force", str(path))
