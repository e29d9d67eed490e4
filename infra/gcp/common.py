"""What the components of a GCP region share: who they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.gcp import names


@dataclass(frozen=True, slots=True)
class Scope:
    """Stack, region and project of everything in a region, and the stack file's own tags, which are labels here."""

    stack: str
    region: str
    account: str
    extra_tags: Mapping[str, str] = field(default_factory=dict)

    def labels(self, component: str, *, pool: str | None = None) -> dict[str, str]:
        """Labels of one resource. Networks, rules, groups and accounts take none."""
        return names.labels(self.stack, component, self.extra_tags, pool=pool)

    def name(self, suffix: str) -> str:
        """A fixed resource name with the region's prefix."""
        return names.name(self.stack, suffix)
