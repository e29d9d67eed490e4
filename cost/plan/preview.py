"""What `pulumi preview --json --show-sames` says of a stack: every resource as it is and as it would be.

A file may be cut, hidden or of another kind; each says so in one line. Values that the engine does not know yet and
secrets are marked, never guessed: `Resource.get` tells them apart from what is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from spillway.errors import SpillwayError

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine writes for a string that is known only after the deployment
(https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/plugin/rpc.go, UnknownStringValue)."""
SECRET: Final = "[secret]"
HOW: Final = "pulumi preview --json --show-sames"
STACK_TYPE: Final = "pulumi:pulumi:Stack"
GONE: Final = frozenset({"delete", "delete-replaced", "discard", "discard-replaced", "remove-pending-replace"})
"""Steps after which the old state is not there any more; of a replacement the new one is in another step, or beside
it."""
NEW: Final = frozenset({"create", "create-replacement", "import", "import-replacement"})
READ: Final = frozenset({"read", "read-replacement", "read-discard"})
"""What somebody else owns: not in this stack's bill."""
REFRESH: Final = "refresh"
Op = Literal["create", "update", "replace", "delete", "same"]
OPS: Final[tuple[Op, ...]] = ("delete", "replace", "update", "create", "same")
"""The worst first."""


class Unknown:
    """A value that is known only after the deployment, or that the engine hides."""

    def __init__(self, secret: bool) -> None:
        self.secret = secret

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "secret" if self.secret else "not known yet"


@dataclass(frozen=True, eq=False)
class Resource:
    """One side of a resource. refers: property -> URNs of the resources that its value comes from."""

    urn: str
    type: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    refers: Mapping[str, tuple[str, ...]]
    provider: str = ""
    protected: bool = False

    @property
    def name(self) -> str:
        """As the program calls it."""
        return self.urn.rsplit("::", 1)[-1]

    def get(self, *path: str | int) -> Any:
        """The value at a path of the inputs, of the outputs where those do not know it; None where there is none, an
        `Unknown` where it is known only later or hidden."""
        found = _at(self.inputs, path)
        if found is None or isinstance(found, Unknown):
            told = _at(self.outputs, path)
            if told is not None and not isinstance(told, Unknown):
                return told
        return found


@dataclass(frozen=True, eq=False)
class Change:
    """What happens to a resource. before: None when it is made; after: None when it goes.

    keys: properties that change; because: those of them for which it is replaced.
    """

    op: Op
    urn: str
    type: str
    before: Resource | None
    after: Resource | None
    keys: tuple[str, ...] = ()
    because: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]


@dataclass(frozen=True, eq=False)
class Preview:
    """One plan of one stack. config: of the plan, without the stack's project. changes: custom resources only, by
    URN; what is only read is left out."""

    file: str
    stack: str
    changes: tuple[Change, ...]
    config: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def before(self) -> Side:
        return Side(one.before for one in self.changes if one.before)

    @cached_property
    def after(self) -> Side:
        return Side(one.after for one in self.changes if one.after)

    def count(self, op: Op) -> int:
        return sum(one.op == op for one in self.changes)


class Side:
    """All resources of a stack at one time, to follow references in."""

    def __init__(self, resources: Iterator[Resource]) -> None:
        self.by_urn = {one.urn: one for one in resources}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.by_urn.values())

    def of(self, *types: str) -> list[Resource]:
        """Resources of these types, in the plan's order."""
        return [one for one in self if one.type in types]

    def referred(self, resource: Resource, key: str, type_: str) -> Resource | None:
        """The one resource of a type that a property comes from, by URN."""
        for urn in resource.refers.get(key, ()):
            found = self.by_urn.get(urn)
            if found is not None and found.type == type_:
                return found
        return None

    def whose(self, type_: str, key: str, resource: Resource) -> list[Resource]:
        """Resources of a type whose property comes from this one."""
        return [one for one in self.of(type_) if resource.urn in one.refers.get(key, ())]


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        if isinstance(key, str) and isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(key, int) and isinstance(value, list):
            value = value[key] if key < len(value) else None
        else:
            return Unknown(value == SECRET) if value in (UNKNOWN, SECRET) else None
    return Unknown(value == SECRET) if isinstance(value, str) and value in (UNKNOWN, SECRET) else value


def read(path: Path) -> Preview:
    """The plan in a file. Raises SpillwayError, one line: file, key, what is allowed."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SpillwayError(f"{path}: is no text in UTF-8; expected the output of `{HOW}`") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Preview:
    """The plan in the output of `pulumi preview --json`. Raises SpillwayError as `read` does."""
    data = _document(text, file)
    for told in data.get("diagnostics") or ():
        if isinstance(told, Mapping) and told.get("severity") == "error":
            message = " ".join(str(told.get("message")).split())
            raise SpillwayError(f"{file}: is the plan of a preview that failed: {message}")
    summary = data.get("changeSummary") or {}
    if not isinstance(summary, Mapping):
        raise SpillwayError(f"{file}: changeSummary: expected a map")
    steps = data.get("steps") or []
    if not isinstance(steps, list) or not (steps or summary):
        raise SpillwayError(f"{file}: steps: missing; expected the output of `{HOW}`")
    told_same = sum(isinstance(step, Mapping) and step.get("op") == "same" for step in steps)
    same = summary.get("same", 0)
    if isinstance(same, int) and same > told_same:
        raise SpillwayError(
            f"{file}: steps: {same - told_same} resources that stay the same are left out; preview with --show-sames"
        )
    if not steps:
        raise SpillwayError(f"{file}: steps: the plan has no resources at all")
    found = [_step(step, file, number) for number, step in enumerate(steps)]
    names = {urn.removeprefix("urn:pulumi:").partition("::")[0] for _, urn, *_ in found}
    if len(names) != 1:
        raise SpillwayError(f"{file}: expected the resources of one stack, found those of {len(names)}")
    return Preview(file, names.pop(), _merged(found), _config(data, file))


def _document(text: str, file: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        if _is_stream(text):
            raise SpillwayError(
                f"{file}: is the event stream that PULUMI_ENABLE_STREAMING_JSON_PREVIEW asks for; "
                f"expected the single document of `{HOW}` without that variable"
            ) from None
        raise SpillwayError(f"{file}: is no JSON; expected the output of `{HOW}`") from None
    if _is_stream(text):
        raise SpillwayError(f"{file}: is one event of a stream; expected the single document of `{HOW}`")
    if not isinstance(data, Mapping):
        raise SpillwayError(f"{file}: holds no map; expected the output of `{HOW}`")
    if "deployment" in data:
        raise SpillwayError(f"{file}: is an exported state; expected the output of `{HOW}`")
    return data


def _is_stream(text: str) -> bool:
    """Events come one to a line, each with its number
    (https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/events.go, EngineEvent)."""
    first = text.lstrip().partition("\n")[0]
    try:
        event = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(event, Mapping) and "sequence" in event and "timestamp" in event


_Found = tuple[str, str, str, bool, "Resource | None", "Resource | None", tuple[str, ...], tuple[str, ...]]


def _step(step: Any, file: str, number: int) -> _Found:
    if not isinstance(step, Mapping) or not isinstance(step.get("op"), str) or not isinstance(step.get("urn"), str):
        raise SpillwayError(f"{file}: steps[{number}]: expected a map with op and urn")
    op, urn = step["op"], step["urn"]
    states = [_state(step.get(key), f"{file}: steps[{number}].{key}") for key in ("oldState", "newState")]
    told: Mapping[str, Any] = next(
        (step[key] for key in ("newState", "oldState") if isinstance(step.get(key), Mapping)), {}
    )
    type_ = str(told.get("type") or _type(urn))
    custom = bool(told.get("custom", not type_.startswith(("spillway:", STACK_TYPE))))
    keys = tuple(map(str, step.get("diffReasons") or step.get("detailedDiff") or ()))
    because = tuple(map(str, step.get("replaceReasons") or ()))
    return op, urn, type_, custom, states[0], states[1], keys, because


def _type(urn: str) -> str:
    """The last of the types in a URN: its own."""
    parts = urn.split("::")
    return parts[2].rsplit("$", 1)[-1] if len(parts) > 3 else ""


def _state(row: Any, where: str) -> Resource | None:
    if row is None:
        return None
    if not isinstance(row, Mapping) or not isinstance(row.get("urn"), str) or not isinstance(row.get("type"), str):
        raise SpillwayError(f"{where}: expected a map with urn and type")
    for key in ("inputs", "outputs", "propertyDependencies"):
        if not isinstance(row.get(key) or {}, Mapping):
            raise SpillwayError(f"{where}.{key}: expected a map")
    refers = {key: tuple(map(str, urns or ())) for key, urns in (row.get("propertyDependencies") or {}).items()}
    return Resource(
        row["urn"],
        row["type"],
        row.get("inputs") or {},
        row.get("outputs") or {},
        refers,
        str(row.get("provider", "")),
        row.get("protect") is True,
    )


def _merged(found: list[_Found]) -> tuple[Change, ...]:
    """One change for each URN: a replacement may come as one step, or as a creation and a deletion.

    With --refresh each resource has a step more, from what was recorded to what its cloud holds. What the plan does
    begins at the latter, and is in the step that follows: taken together they would be no change where they undo drift.
    """
    rows: dict[str, Change] = {}
    for op, urn, type_, custom, old, new, keys, because in found:
        if not custom or op in READ or op == REFRESH or type_.startswith(("pulumi:providers:", "pulumi:pulumi:")):
            continue
        before = None if op == "create" or op == "import" else old
        after = None if op in GONE else new
        # A delete that is half of a replacement says nothing of what comes after it.
        if (seen := rows.get(urn)) is not None:
            before, after = seen.before or before, after or seen.after
            keys, because = seen.keys or keys, seen.because or because
        replaces = "replace" in op or (seen is not None and "delete" in {op, seen.op})
        kind: Op
        if before is None:
            kind = "create"
        elif after is None:
            kind = "delete"
        elif replaces and (op != "same"):
            kind = "replace"
        else:
            kind = "update" if op == "update" or keys else "same"
        rows[urn] = Change(kind, urn, type_, before, after, keys, because)
    return tuple(rows.values())


def _config(data: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    found = data.get("config") or {}
    if not isinstance(found, Mapping):
        raise SpillwayError(f"{file}: config: expected a map")
    values: dict[str, Any] = {}
    for key, text in found.items():
        value = text
        if isinstance(text, str) and text[:1] in "{[":
            try:
                value = json.loads(text)
            except ValueError:
                value = text
        values[str(key)] = value
    return values
