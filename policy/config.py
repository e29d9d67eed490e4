"""What the policies are told for one stack: `policy/stacks/<stack>.json`, in the engine's own form.

    {"monthly-budget": {"monthlyUsd": 90000}, "quota-headroom": "advisory"}

A policy's value is a level, or a map with enforcementLevel and its own settings; `all` is the level of every policy
that has none of its own. The same file can be given to any engine as `--policy-pack-config`
(https://www.pulumi.com/docs/insights/policy/policy-packs/configuration/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from infra.faults import ConfigError, Fault, did_you_mean, listed
from infra.validation import validate
from policy.findings import Level, Policy, Settings
from policy.rules import POLICIES

FOLDER: Final = Path(__file__).resolve().parent / "stacks"
ALL: Final = "all"
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
LEVEL_KEY: Final = "enforcementLevel"


@dataclass(frozen=True, slots=True)
class Told:
    """What one policy was told, and how much it weighs."""

    level: Level
    settings: Settings


Config = Mapping[str, Told]
"""Of every policy, by its name."""


def load(stack: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What the stack's own file says, empty where it has none. Raises ConfigError with a line for each fault."""
    path = folder / f"{stack}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{name_of(path)}: cannot be read: {getattr(error, 'strerror', None) or error}"]) from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ConfigError([f"{name_of(path)}: is no JSON: {error}"]) from None
    if not isinstance(data, dict):
        raise ConfigError([f"{name_of(path)}: has to be a map of policies"])
    parse(data, name_of(path))
    return data


def name_of(path: Path) -> str:
    """How a settings file is called in messages."""
    return f"policy/stacks/{path.name}"


def parse(data: Mapping[str, Any], file: str) -> Config:
    """Every policy with what it was told. Raises ConfigError with a line for each fault."""
    faults: list[Fault] = []
    names = [one.name for one in POLICIES]
    for key in data:
        if key not in (ALL, *names):
            faults.append(Fault((key,), f"unknown policy{did_you_mean(key, names)}; there are {listed(names, 'and')}"))
    general = data.get(ALL)
    base: Level | None = None
    if isinstance(general, Mapping) and set(general) == {LEVEL_KEY}:
        general = general[LEVEL_KEY]
    if general in LEVELS:
        base = general
    elif general is not None:
        faults.append(Fault((ALL,), f"has to be {listed(LEVELS)}", general))
    found: dict[str, Told] = {}
    for one in POLICIES:
        told, wrong = _told(one, data.get(one.name), base)
        faults += [fault.below(one.name) for fault in wrong]
        found[one.name] = told
    if faults:
        raise ConfigError(fault.line(file) for fault in faults)
    return found


def _told(one: Policy[Any], data: Any, base: Level | None) -> tuple[Told, list[Fault]]:
    usual = base or one.level
    if data is None:
        data = {}
    if isinstance(data, str):
        if data not in LEVELS:
            return Told(usual, one.settings()), [Fault((), f"has to be {listed(LEVELS)}, or a map", data)]
        data = {LEVEL_KEY: data}
    if not isinstance(data, Mapping):
        return Told(usual, one.settings()), [Fault((), f"has to be {listed(LEVELS)}, or a map", data)]
    settings, faults = validate(one.settings, _whole_numbers(dict(data)))
    if faults:
        return Told(usual, one.settings()), faults
    return Told(settings.enforcement_level or usual, settings), []


def _whole_numbers(value: Any) -> Any:
    """The engine hands every number over as a float."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return [_whole_numbers(item) for item in value] if isinstance(value, list) else value


def merged(own: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's own settings, and over them, key by key, those of an option."""
    found = dict(own)
    for name, value in given.items():
        before = found.get(name)
        if isinstance(value, Mapping):
            kept = {LEVEL_KEY: before} if isinstance(before, str) else dict(before or {})
            found[name] = {**kept, **value}
        elif isinstance(before, Mapping):
            found[name] = {**before, LEVEL_KEY: value}
        else:
            found[name] = value
    return found


def properties(one: Policy[Any]) -> dict[str, Any]:
    """The JSON schema of a policy's own settings. Without defaults: the engine would hand those over as if somebody had
    chosen them, and a stack's file would never be heard."""
    schema = one.settings.model_json_schema(by_alias=True)
    found = {}
    for key, row in schema.get("properties", {}).items():
        if key != LEVEL_KEY:
            found[key] = _plain(row)
    return found


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in row.items() if key not in ("default", "title", "anyOf")}
    for choice in row.get("anyOf", ()):
        if choice.get("type") != "null":
            kept.update({key: value for key, value in choice.items() if key != "title"})
    return kept
