"""Every policy by name: the published ones, and the keeper with what its name says of its rules.

`keeper` as it is; `keeper@0.998` with that availability as its objective; `keeper-moves` without one of its levers.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from infra.keeper_words import Levers
from rehearsal.baselines import BASELINES, RANDOM
from rehearsal.keeping import Keeping
from rehearsal.model import Policy, Setting
from spillway.errors import SpillwayError

KEEPER: Final = "keeper"
LEVERS: Final = tuple(field.name for field in fields(Levers))
DEFAULT: Final = (*BASELINES, KEEPER)


def check(name: str) -> str:
    """The name, if there is such a policy. Raises SpillwayError."""
    if name not in BASELINES and _rules(name) is None:
        levers = ", ".join(lever.replace("_", "-") for lever in LEVERS)
        raise SpillwayError(
            f"policy: no {name!r}; there are {', '.join(DEFAULT)}, keeper@<availability above 0 and below 1>, "
            f"and keeper-<lever to take away: {levers}>"
        )
    return name


def is_random(name: str) -> bool:
    """Whether its result depends on a seed."""
    return name in RANDOM


def is_keeper(name: str) -> bool:
    """Whether it is the keeper, as it is or with other rules."""
    return name.startswith(KEEPER)


def make(name: str, setting: Setting, seed: int) -> Policy:
    """A new one, for one play. Raises SpillwayError for a name that is none."""
    check(name)
    if name in BASELINES:
        return BASELINES[name](setting, seed)
    return Keeping(setting, **(_rules(name) or {}))


def _rules(name: str) -> dict[str, object] | None:
    """What a keeper's name says of its rules; None where it is no keeper's."""
    if name == KEEPER:
        return {}
    objective, lever = name.removeprefix(f"{KEEPER}@"), name.removeprefix(f"{KEEPER}-").replace("-", "_")
    if objective != name:
        try:
            availability = float(objective)
        except ValueError:
            return None
        return {"availability": availability} if 0 < availability < 1 else None
    return {"levers": Levers(**{lever: False})} if name.startswith(f"{KEEPER}-") and lever in LEVERS else None
