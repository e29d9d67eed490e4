"""pydantic's errors in a person's words: one Fault each, in the file's own camelCase path, with what is allowed.

Only imported once something is wrong.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.descriptions import description
from infra.faults import HIDDEN, AsWritten, Fault, Path, did_you_mean, listed, shown
from infra.sections import WORDS

_KINDS = {
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "dict_type": "a map of text to text",
    "model_type": "a map",
    "model_attributes_type": "a map",
}


def faults(model: type[BaseModel], errors: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """The faults that pydantic found in data for `model`, in the order of the file's schema."""
    # A list with faulty entries is also told to be too short, because only sound ones are counted.
    return [_fault(model, e) for e in errors if e["type"] != "too_short" or len(e["input"]) < e["ctx"]["min_length"]]


def _fault(model: type[BaseModel], error: Mapping[str, Any]) -> Fault:
    loc: Path = tuple(step for step in error["loc"] if step != "[key]")
    kind, ctx, value = error["type"], error.get("ctx", {}), error["input"]
    owner, field = _find(model, loc)
    if loc and loc[0] == "secrets" and not isinstance(value, dict):
        value = HIDDEN  # whoever pastes a key here does not want it in the log of a pipeline
    if kind == "extra_forbidden":
        known = [f.alias or name for name, f in owner.model_fields.items()] if owner else []
        text = f"unknown key{did_you_mean(loc[-1], known)}; allowed: {', '.join(known)}" if known else "unknown key"
        return Fault(loc, text, value)
    if kind == "missing":
        return Fault(loc, f"missing; {_about(owner, field)}")
    if "[key]" in error["loc"]:
        return Fault(loc[:-1], f"key {error['loc'][-2]!r}: {_allowed(kind, ctx, field, value, key=True)}")
    allowed = _allowed(kind, ctx, field, value)
    if _KINDS.get(kind) == "a whole number" and isinstance(value, float):
        value = AsWritten(value)  # `= 2: has to be a whole number` would be told of 2.0
    return Fault(loc, allowed, value)


def _about(owner: type[BaseModel] | None, field: FieldInfo | None) -> str:
    if field is None or owner is None:
        return "has to be given"
    words = _words(field.annotation, field.metadata)
    attribute = next(name for name, known in owner.model_fields.items() if known is field)
    about = description(owner, attribute).split(":")[0].split(";")[0].rstrip(".")
    inner = model_of(field.annotation)
    if inner is not None:
        return f"a map with {listed((f.alias or n for n, f in inner.model_fields.items()), 'and')}"
    choice = _choice(field.annotation)
    about = about if about[1:2].isupper() else about[:1].lower() + about[1:]  # AWS stays AWS
    return "; ".join(part for part in (words or choice, about) if part)


def _allowed(kind: str, ctx: Mapping[str, Any], field: FieldInfo | None, value: Any, key: bool = False) -> str:
    limits = _range(field, ctx, kind)
    if kind == "string_pattern_mismatch":
        return f"has to be {WORDS.get(ctx['pattern'], 'text of the form ' + ctx['pattern'])}"
    if kind == "literal_error":
        if isinstance(value, (int, float)) and f"'{shown(value)}'" in ctx["expected"]:  # 1, where "1" is wanted
            return f"has to be {ctx['expected'].replace(chr(39), chr(34))}, with its quotes"
        expected = ctx["expected"].replace("'", "")
        options = _options(field)
        return f"has to be {expected}{did_you_mean(value, options) if len(options) > 1 else ''}"
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        return f"has to be {limits}"
    if kind in ("too_short", "too_long"):
        noun = "entry" if (ctx.get("min_length") or ctx.get("max_length")) == 1 else "entries"
        bound = f"at least {ctx['min_length']}" if kind == "too_short" else f"at most {ctx['max_length']}"
        return f"has to have {bound} {noun}"
    if kind in ("invalid_key", "string_type") and key:
        return "has to be text: put it in quotes"
    if kind in _KINDS:
        return _type_fault(kind, field, value, limits)
    return " ".join(str(kind).replace("_", " ").split())


def _type_fault(kind: str, field: FieldInfo | None, value: Any, limits: str) -> str:
    what = _KINDS[kind]
    words = _words(field.annotation, field.metadata) if field else None
    inner = model_of(field.annotation) if field else None
    if what == "text":
        quote = not isinstance(value, (dict, list, tuple, set, type(None)))
        return f"has to be {words or 'text'}" + (
            ", written in quotes" if quote and "quotes" not in (words or "") else ""
        )
    if what == "a map" and inner is not None:
        keys = listed((f.alias or name for name, f in inner.model_fields.items()), "and")
        return f"has to be a map with {keys}"
    if what == "a list" and words:
        return f"has to be a list; each entry is {words}"
    number = limits and what in ("a whole number", "a number")
    quoted = " without quotes" if number and isinstance(value, str) else ""
    return f"has to be {what} {limits}{quoted}" if number else f"has to be {what}"


def _range(field: FieldInfo | None, ctx: Mapping[str, Any], kind: str) -> str:
    bounds: dict[str, Any] = dict(ctx)
    for item in _metadata(field.annotation, field.metadata) if field else ():
        for name in ("ge", "gt", "le", "lt"):
            if getattr(item, name, None) is not None:
                bounds[name] = getattr(item, name)
    bounds = {
        name: int(bound) if isinstance(bound, float) and bound.is_integer() else bound for name, bound in bounds.items()
    }  # 10000, not 10000.0
    low = f"from {bounds['ge']}" if "ge" in bounds else f"above {bounds['gt']}" if "gt" in bounds else ""
    high = f"to {bounds['le']}" if "le" in bounds else f"below {bounds['lt']}" if "lt" in bounds else ""
    if "gt" in bounds and "le" in bounds:
        return f"above {bounds['gt']} and at most {bounds['le']}"
    return (
        f"{low} {high}".strip()
        if low and high
        else (low or high).replace("from", "at least").replace("to ", "at most ")
    )


def _find(model: type[BaseModel], loc: Path) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model that owns the last named step of a path, and the field it names, when there is one."""
    owner: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for step in loc:
        if isinstance(step, int) or owner is None:
            continue
        named = {f.alias or name: f for name, f in owner.model_fields.items()}
        if step not in named:
            return (owner, None) if field is None or model_of(field.annotation) is owner else (owner, field)
        field = named[step]
        inner = model_of(field.annotation) or entry_model(field.annotation)
        if inner is None or step == loc[-1]:
            return owner, field
        owner = inner
    return owner, field


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds (perhaps beside null), or None for anything else."""
    for part in _flat(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def entry_model(annotation: Any) -> type[BaseModel] | None:
    """The model of a list's entries, or None for anything else."""
    for part in _flat(annotation):
        if typing.get_origin(part) is tuple:
            return model_of(typing.get_args(part)[0])
    return None


def _flat(annotation: Any) -> Iterable[Any]:
    """The members of a union, without Annotated; the annotation itself when it is none."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _flat(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _flat(part)
    else:
        yield annotation


def _metadata(annotation: Any, metadata: Iterable[Any] = ()) -> Iterable[Any]:
    """Everything said about a field's value or its entries in Annotated[...], at any depth."""
    for item in metadata:
        yield from getattr(item, "metadata", None) or (item,)
    for part in typing.get_args(annotation) if not model_of(annotation) else ():
        if isinstance(part, FieldInfo):
            yield from part.metadata
        else:
            yield from _metadata(part)


def _words(annotation: Any, metadata: Iterable[Any]) -> str | None:
    # The last pattern: of a map that is its values' rather than its keys'.
    found = [WORDS[item.pattern] for item in _metadata(annotation, metadata) if getattr(item, "pattern", None) in WORDS]
    return found[-1] if found else None


def _options(field: FieldInfo | None) -> list[str]:
    if field is None:
        return []
    return [str(option) for part in _flat(field.annotation) for option in typing.get_args(part)]


def _choice(annotation: Any) -> str | None:
    options = [
        str(o) for part in _flat(annotation) if typing.get_origin(part) is typing.Literal for o in typing.get_args(part)
    ]
    return listed(options) if options else None
