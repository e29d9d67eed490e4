"""One stack file's object as a model, with every fault at once: of single values, and of what several say together.

Shared by the kinds of stacks (region, global). Knows no kind: the models are in `sections`, the checks in `checks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Generic, TypeVar

from pydantic import ValidationError

from infra import stackfile
from infra.faults import HIDDEN, Fault
from infra.sections import Section

M = TypeVar("M", bound=Section)
T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


class CheckList(Generic[T]):
    """Checks of what several values say together, each with the sections that it reads.

    A check runs when all of its sections are sound, so that one faulty section hides nothing in the others.
    """

    def __init__(self) -> None:
        self._checks: list[tuple[frozenset[str], str | None, Callable[[Any], Iterator[Fault]]]] = []

    def __call__(self, *sections: str, cloud: str | None = None) -> Callable[[Callable[[C], R]], Callable[[C], R]]:
        """Registers a check that reads these sections (attribute names of the model), of one cloud's models or of all.

        cloud: what the models' `CLOUD` says.
        """

        def register(function: Callable[[C], R]) -> Callable[[C], R]:
            self._checks.append((frozenset(sections), cloud, function))  # type: ignore[arg-type]
            return function

        return register

    def faults(self, model: T) -> list[Fault]:
        """Every fault that the checks find; those that read a section which is absent from `model` are skipped."""
        present, own = model.__dict__.keys(), getattr(model, "CLOUD", None)
        return [
            fault
            for sections, cloud, function in self._checks
            if sections <= present and cloud in (None, own)
            for fault in function(model)
        ]


def validate(model: type[M], data: dict[Any, Any]) -> tuple[M, list[Fault]]:
    """The model, or as much of it as is sound (its faulty sections are simply absent), and the faults found."""
    secret = [Fault(path, why, HIDDEN) for path, why in stackfile.encrypted_values(data, ())]
    try:
        return model.model_validate(data), secret
    except ValidationError as error:
        from infra import explain

        hidden = {fault.path[:-1] for fault in secret}  # `x: {secure: ...}` needs no second line about the type of x
        told = [e for e in error.errors(include_url=False) if e["loc"] not in hidden and e["loc"][:-1] not in hidden]
        return _sound_part(model, data, error), secret + explain.faults(model, told)


def _sound_part(model: type[M], data: dict[Any, Any], error: ValidationError) -> M:
    from pydantic import TypeAdapter

    at_fault = {e["loc"][0] for e in error.errors(include_url=False) if e["loc"]}
    sound: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in at_fault:
            continue
        if key in data:
            # With None, as an annotation without metadata is refused.
            kind: Any = Annotated.__class_getitem__((field.annotation, *field.metadata, None))  # type: ignore[attr-defined]
            sound[name] = TypeAdapter(kind).validate_python(data[key])
        else:
            sound[name] = field.get_default(call_default_factory=True)
    part: M = model.model_construct(**sound)  # type: ignore[assignment]  # of a bound type variable
    for name in model.model_fields:
        if name not in sound:
            part.__dict__.pop(name, None)
    return part
