"""What rules look at and what they say: one resource or a whole stack, findings, and how policies are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from cost.plan.charges import Context
from cost.plan.preview import SECRET, UNKNOWN, Change, Preview, Resource, Side, Unknown
from infra.sections import Section

Level = Literal["advisory", "mandatory", "disabled"]


class Settings(Section):
    """What every policy can be told, by the names that Pulumi has for it."""

    enforcement_level: Level | None = Field(
        default=None, description="mandatory fails the preview, advisory only tells, disabled does not look"
    )


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Finding:
    """What is against a resource, in one line: what it says, then what is allowed. urn: empty for the stack as a whole.

    judged: False where it cannot be told yet, as a value is known only after the deployment; never a violation, never
    silently fine.
    """

    urn: str
    message: str
    judged: bool = True


@dataclass(frozen=True)
class Stack:
    """All resources of a stack as they would be. config: what the engine was told, without the project's name.

    today: by which prices are old or not.
    """

    name: str
    resources: tuple[Resource, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    today: date = field(default_factory=lambda: datetime.now(UTC).date())

    @cached_property
    def side(self) -> Side:
        return Side(iter(self.resources))

    @cached_property
    def preview(self) -> Preview:
        """The stack as a plan in which everything stays, for what asks for a plan."""
        changes = tuple(Change("same", one.urn, one.type, one, one) for one in self.resources)
        return Preview(f"stack {self.name}", self.name, changes, self.config)

    @cached_property
    def context(self) -> Context:
        """For the rules that count what a plan holds: of the region that the stack's file says, or its name."""
        told = self.section("spillway:region")
        provider, _, region = self.name.partition("-")
        return Context(self.name, provider, str(told.get("region", region)), self.side, told)

    def section(self, key: str) -> Mapping[str, Any]:
        """The stack file's object under a key; empty where it has none."""
        found = self.config.get(key)
        return found if isinstance(found, Mapping) else {}


Each = Callable[[Resource, S], Iterator[Finding]]
Whole = Callable[[Stack, S], Iterator[Finding]]


@dataclass(frozen=True)
class Policy(Generic[S]):
    """One policy: of each resource by itself, which the engine asks before it makes it, of the whole stack, or both."""

    name: str
    title: str
    description: str
    settings: type[S]
    each: Each[S] | None = None
    whole: Whole[S] | None = None
    level: Level = "mandatory"

    def __post_init__(self) -> None:
        if self.each is None and self.whole is None:
            raise ValueError(f"{self.name}: looks at nothing")

    def find(self, stack: Stack, settings: S) -> Iterator[Finding]:
        """Everything that a stack has against this policy, in the order of the plan."""
        if self.whole is not None:
            yield from self.whole(stack, settings)
        if self.each is not None:
            for resource in stack.resources:
                yield from self.each(resource, settings)


def get(resource: Resource, *path: str | int) -> Any:
    """The value at a path, in which everything that is not known yet or hidden is an `Unknown`, however deep."""
    return marked(resource.get(*path))


def marked(value: Any) -> Any:
    """The same value with an `Unknown` for each text by which the engine says that it does not know."""
    if isinstance(value, str) and value in (UNKNOWN, SECRET):
        return Unknown(value == SECRET)
    if isinstance(value, Mapping):
        return {str(key): marked(item) for key, item in value.items()}
    return [marked(item) for item in value] if isinstance(value, list | tuple) else value


def rows(value: Any) -> list[Mapping[str, Any]]:
    """The maps in a list; a map alone is a list of one, as some providers write it either way."""
    if isinstance(value, Mapping):
        return [value]
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The texts in a list, or the one text."""
    found = value if isinstance(value, list) else [value]
    return [str(one) for one in found if isinstance(one, str | int) and not isinstance(one, bool)]


def yes(value: Any) -> bool:
    """Whether a property is true; the AWS provider has some booleans as texts."""
    return value is True or (isinstance(value, str) and value.lower() == "true")


def unknown(resource: Resource, path: str, value: Any) -> Iterator[Finding]:
    """Says so where a value cannot be judged yet."""
    if isinstance(value, Unknown):
        why = "is hidden as a secret" if value.secret else "is known only after the deployment"
        yield Finding(resource.urn, f"{path} {why}", judged=False)
