"""What the function is told: environment variables `SPILLWAY_*`, rendered by the stack's program.

All are required but `SPILLWAY_DRY_RUN`, and a `SPILLWAY_*` variable that nobody knows is refused: a setting that was
mistyped must not fall back to something else in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from infra.fallback import Rule
from infra.function.load import LoadRule

if TYPE_CHECKING:
    from infra.sections import Fallback, PoolSizes, Scaling

PREFIX: Final = "SPILLWAY_"
NAMESPACE: Final = "Spillway"
"""Namespace of the nodes' metrics and of the function's own two."""

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=500)]
Minutes = Annotated[int, Field(ge=1, le=240)]


class SettingsError(ValueError):
    """One line: which variable, what it says, what is allowed."""


class Settings(BaseModel):
    """One region. Fields are variables: `spot_group` is `SPILLWAY_SPOT_GROUP`.

    target, floor, max: replicas, as in the stack file. state: URL of what the function has to see again. fallback_*,
    scaling_*: the stack file's sections of these names. dry_run: decide and log, set nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    stack: Text
    spot_group: Text
    on_demand_group: Text
    state: Text
    target: Count
    floor: Count
    max: Count
    fallback_out_minutes: Minutes
    fallback_in_minutes: Minutes
    fallback_boot_minutes: Minutes
    scaling_signal: Literal["queue", "cpu", "none"]
    scaling_queue_per_replica: float = Field(gt=0)
    scaling_queue_minutes: Minutes
    scaling_cpu_percent: float = Field(gt=0, le=100)
    scaling_cpu_minutes: Minutes
    scaling_step: int = Field(ge=1, le=100)
    scaling_cooldown_seconds: int = Field(ge=0, le=7200)
    scaling_in_queue_per_replica: float = Field(ge=0)
    scaling_in_cpu_percent: float = Field(ge=0, le=100)
    scaling_in_minutes: Minutes
    scaling_in_step: int = Field(ge=1, le=100)
    dry_run: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if not self.floor <= self.target <= self.max:
            raise ValueError(
                f"floor {self.floor}, target {self.target}, max {self.max}: expected floor <= target <= max"
            )
        _ = self.rule
        return self

    @property
    def rule(self) -> Rule:
        """The fallback rule, with the same numbers as the alarms on AWS."""
        return Rule(
            floor=self.floor,
            out_minutes=self.fallback_out_minutes,
            in_minutes=self.fallback_in_minutes,
            boot_minutes=self.fallback_boot_minutes,
            max_on_demand=self.max,
        )

    @property
    def load_rule(self) -> LoadRule:
        """How the spot pool's size follows the load; with signal `none` it is always the target's."""
        queue = self.scaling_signal == "queue"
        least = self.target - self.floor
        return LoadRule(
            high=self.scaling_queue_per_replica if queue else self.scaling_cpu_percent,
            low=self.scaling_in_queue_per_replica if queue else self.scaling_in_cpu_percent,
            minutes=self.scaling_queue_minutes if queue else self.scaling_cpu_minutes,
            in_minutes=self.scaling_in_minutes,
            step=self.scaling_step,
            in_step=self.scaling_in_step,
            cooldown_seconds=self.scaling_cooldown_seconds,
            least=least,
            most=least if self.scaling_signal == "none" else self.max - self.floor,
        )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Settings from variables. Raises SettingsError, one line for the first fault."""
        values: dict[str, Any] = {}
        known = {variable(name): name for name in cls.model_fields}
        for key, value in environment.items():
            if not key.startswith(PREFIX):
                continue
            if key not in known:
                raise SettingsError(f"{key}: no such setting; known: {', '.join(sorted(known))}")
            values[known[key]] = value
        if "dry_run" in values:
            if values["dry_run"] not in ("true", "false"):
                raise SettingsError(f"{variable('dry_run')} = {values['dry_run']!r}: must be true or false")
            values["dry_run"] = values["dry_run"] == "true"
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if not first["loc"]:
                raise SettingsError(str(first["msg"]).removeprefix("Value error, ")) from None
            name = variable(str(first["loc"][0]))
            if first["type"] == "missing":
                raise SettingsError(f"{name}: missing") from None
            raise SettingsError(f"{name} = {values[str(first['loc'][0])]!r}: {first['msg']}") from None


class AzureSettings(Settings):
    """subscription, resource_group, location: of both scale sets. identity: client id of the function's identity."""

    subscription: Text
    resource_group: Text
    location: Text
    identity: Text


class GcpSettings(Settings):
    """project, region: of both instance groups."""

    project: Text
    region: Text


def variable(field: str) -> str:
    """`spot_group` -> `SPILLWAY_SPOT_GROUP`."""
    return PREFIX + field.upper()


def environment(
    *, stack: str, pools: PoolSizes, fallback: Fallback, scaling: Scaling, dry_run: bool = False
) -> dict[str, str]:
    """The variables that a stack file says; names of groups and places are the program's to add by `variable`."""
    values: dict[str, object] = {"stack": stack, "target": pools.target, "floor": pools.floor, "max": pools.max}
    values |= {f"fallback_{key}": value for key, value in fallback.model_dump().items()}
    values |= {f"scaling_{key}": value for key, value in scaling.model_dump().items()}
    values["dry_run"] = "true" if dry_run else "false"
    return {variable(key): str(value) for key, value in values.items() if key in Settings.model_fields}
