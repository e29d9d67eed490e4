"""Which stacks a change touches, by the paths of its files. Pure; what is not known to be harmless touches all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

STACKS: Final = "stacks"
HARMLESS: Final = (
    "docs/", "tests/", ".github/", ".ci/", "cost/", "rehearsal/", "sandbox/", "observability/", "spillway/",
    "tools/",
)  # fmt: skip
"""Folders that no deployed stack is made of."""
HARMLESS_FILES: Final = ("README.md", "Makefile", "LICENSE", "NOTICE", ".gitignore", ".gitattributes")
CLOUDS: Final[Mapping[str, str]] = {
    "infra/aws/": "aws", "infra/azure/": "azure", "infra/gcp/": "gcp", "infra/tencent/": "tencent",
}  # fmt: skip
"""Folder of the program -> the cloud whose region stacks are made of it."""
POLICIES: Final = "policy/stacks"
"""Each stack's settings of the policy pack; the pack itself judges all of them."""
DNS: Final = "infra/dns/"
CI: Final = "infra/ci/"
KEEPER: Final = ("infra/keeper",)
"""Pure rules that no resource is made of."""


def touched(paths: Iterable[str], stacks: Mapping[str, str]) -> dict[str, str]:
    """Stack -> the first path that touches it.

    paths: changed files from the repository's root. stacks: every stack of the checkout, old and new, and its kind: a
    cloud of a region stack, `global`, or `ci-` and a cloud. A deleted stack file touches its stack like any other.
    """
    found: dict[str, str] = {}
    for path in sorted(set(paths)):
        for stack in _of(path, stacks):
            found.setdefault(stack, path)
    return {stack: found[stack] for stack in sorted(found)}


def _of(path: str, stacks: Mapping[str, str]) -> list[str]:
    pure = PurePosixPath(path)
    if pure.parent.as_posix() == STACKS and pure.name.startswith("Pulumi.") and pure.suffix == ".yaml":
        name = pure.name.removeprefix("Pulumi.").removesuffix(".yaml")
        return [name] if name in stacks else []
    if pure.parent.as_posix() == POLICIES:
        return [pure.stem] if pure.suffix == ".json" and pure.stem in stacks else []
    if path.startswith((*HARMLESS, *KEEPER)) or path in HARMLESS_FILES or pure.suffix == ".md":
        return []
    for folder, cloud in CLOUDS.items():
        if path.startswith(folder):
            # The pipelines' roles of a cloud take names and rights from the same modules.
            return [name for name, kind in stacks.items() if kind in (cloud, f"ci-{cloud}")]
    if path.startswith(DNS):
        return [name for name, kind in stacks.items() if kind == "global"]
    if path.startswith(CI):
        return [name for name, kind in stacks.items() if kind.startswith("ci-")]
    return list(stacks)
