"""How Google Cloud names things: a name, a partial path or a full self link all mean the same resource.

The API takes `default`, `global/networks/default`, `projects/p/global/networks/default` and
`https://www.googleapis.com/compute/v1/projects/p/global/networks/default`, and answers with the last
(https://docs.cloud.google.com/compute/docs/reference/rest/v1#resource-uris). The provider compares them accordingly
(CompareSelfLinkOrResourceName and CompareSelfLinkRelativePaths in
https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/tpgresource/self_link_helpers.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.values import UNKNOWN, steps

COMPUTE: Final = "https://www.googleapis.com/compute/v1/"
"""What every self link of Compute Engine begins with."""

PROJECT: Final = r"(?:[a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]"
"""Project ids: 6 to 30 characters (https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects)."""

_LINK: Final = re.compile(
    r"(?:(?:https://(?:www|compute)\.googleapis\.com/compute/(?:v1|beta|alpha)/)?"
    r"(?:projects/(?P<project>[^/]+)/)?"
    r"(?:(?P<global>global)|regions/(?P<region>[^/]+)|zones/(?P<zone>[^/]+))/(?P<collection>[A-Za-z]+)/)?"
    r"(?P<name>[^/?]+)(?:\?.*)?"
)


@dataclass(frozen=True, slots=True)
class Link:
    """A reference taken apart; what it leaves out is None. scope: `global`, `regions/r` or `zones/z`."""

    project: str | None
    scope: str | None
    collection: str | None
    name: str

    @property
    def bare(self) -> bool:
        """Whether it is a name alone."""
        return self.scope is None

    @property
    def region(self) -> str | None:
        return self.scope.removeprefix("regions/") if self.scope and self.scope.startswith("regions/") else None


def parse(value: object) -> Link | None:
    """The parts of a reference in any of its spellings, None when it is none."""
    match = _LINK.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    scope = match["global"]
    for place in ("region", "zone"):
        scope = f"{place}s/{match[place]}" if match[place] else scope
    return Link(match["project"], scope, match["collection"], match["name"])


def relative(value: str) -> str:
    """A reference without the API's host and version, and without a query: `projects/p/global/networks/n`."""
    return re.sub(r"^https://[^/]+/(?:compute/)?(?:v1|beta|alpha|v2)/|\?.*$", "", value)


def name_of(value: str) -> str:
    """The last part of a reference: its name."""
    found = parse(value)
    return found.name if found else value.rsplit("/", 1)[-1]


def self_link(id: str) -> str:
    """The self link of a compute resource whose id is its relative path."""
    return f"{COMPUTE}{id}"


def rewrite(values: Mapping[str, Any], pattern: str, change: Callable[[str], str]) -> dict[str, Any]:
    """A copy in which every known string that the pattern reaches is changed; everything else is the same object."""
    changed: dict[str, Any] = _rewrite(dict(values), steps(pattern), change)
    return changed


def _rewrite(value: Any, rest: tuple[str | int | None, ...], change: Callable[[str], str]) -> Any:
    if not rest:
        return change(value) if isinstance(value, str) else value
    if value is UNKNOWN:
        return value
    head, tail = rest[0], rest[1:]
    if isinstance(value, list) and (head is None or isinstance(head, int)):
        return [_rewrite(v, tail, change) if head is None or head == i else v for i, v in enumerate(value)]
    if isinstance(value, dict):
        return {k: _rewrite(v, tail, change) if head is None or head == k else v for k, v in value.items()}
    return value
