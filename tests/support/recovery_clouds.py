"""Plans of a few resources, and what recovery decides about them, for tests of one cloud's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spillway.recovery.match import Decision, decide
from spillway.recovery.model import Existing, Planned, Rules
from spillway.recovery.state import State

_ROOT = {"urn": "urn:pulumi:s::spillway::pulumi:pulumi:Stack::s", "type": "pulumi:pulumi:Stack", "custom": False}


def planned(token: str, inputs: Mapping[str, Any], name: str = "", **dependencies: Planned) -> Planned:
    """A create; dependencies: property -> what its value comes from."""
    urn = f"urn:pulumi:s::spillway::{token}::{name or sorted(map(str, inputs.values()))}"
    return Planned(urn, token, True, inputs, None, None, {key: (item.urn,) for key, item in dependencies.items()})


def decided(plan: Sequence[Planned], existing: Sequence[Existing], rules: Rules, *owned: Mapping[str, Any]) -> Decision:
    """owned: resources of the state."""
    return decide(plan, existing, State({"deployment": {"resources": [_ROOT, *owned]}}), rules)


def ids(decision: Decision) -> set[str]:
    """Of what is taken in."""
    return {existing.id for _, existing in decision.adopt}
