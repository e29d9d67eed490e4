"""Every policy over every resource of a stack, as a pure function: what the engine's own run says, of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from cost.plan.preview import Preview
from policy import config as settings
from policy.findings import Finding, Level, Stack
from policy.rules import POLICIES
from spillway.preview.document import Violation

OPEN: Final = "not-judged"
"""The policy under which is told what cannot be judged yet: advice, never a violation and never silence."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding with the policy that it is of, and how much that weighs."""

    policy: str
    level: Level
    finding: Finding


def check(preview: Preview, config: Mapping[str, Any] | None = None, *, today: date | None = None) -> list[Violation]:
    """What the policies have against a plan, as it would be.

    config: policy -> level or settings, over those of policy/stacks/<stack>.json. today: by which prices are old.
    Mandatory violations first. Raises ConfigError, one line for each fault of the settings: file, key, what is allowed.
    """
    own = settings.load(preview.stack)
    told = settings.parse(settings.merged(own, config or {}), f"policy settings of {preview.stack}")
    more = {} if today is None else {"today": today}
    resources = sorted(preview.after, key=lambda one: one.urn)  # a plan's own order differs from run to run
    stack = Stack(preview.stack, tuple(resources), preview.config, **more)
    return sorted((_violation(one, stack) for one in run(stack, told)), key=lambda one: not one.mandatory)


def run(stack: Stack, config: settings.Config) -> Iterator[Judged]:
    """Findings of every policy that is not disabled, in the order of the policies; each once."""
    for policy in POLICIES:
        told = config[policy.name]
        if told.level == "disabled":
            continue
        for finding in dict.fromkeys(policy.find(stack, told.settings)):
            yield Judged(policy.name, told.level, finding)


def open_message(policy: str, finding: Finding) -> str:
    """How a finding that is none yet is told, with the policy that could not judge."""
    return f"{policy}: {finding.message}"


def _violation(one: Judged, stack: Stack) -> Violation:
    found = stack.side.by_urn.get(one.finding.urn)
    name = found.name if found is not None else ""
    if not one.finding.judged:
        return Violation(OPEN, False, name, open_message(one.policy, one.finding))
    return Violation(one.policy, one.level == "mandatory", name, one.finding.message)
