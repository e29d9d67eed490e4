"""Which cloud a region stack is asked of. A cloud's SDK is imported when one of its regions is asked about."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from spillway.errors import SpillwayError
from spillway.preflight.model import Row, Say

if TYPE_CHECKING:
    from infra.config import RegionConfig

PACKAGES: Final = {cloud: f"spillway.preflight.{cloud}_region.region" for cloud in ("aws", "azure", "gcp")}
BY_HAND: Final = {
    "tencent": "quotas with `tccli cvm DescribeAccountQuota --region {region}`, what the zones have with "
    "`tccli cvm DescribeZoneInstanceConfigInfos --region {region}` (docs/tencent.md)",
}
"""What to look at where no preflight asks yet. https://www.tencentcloud.com/document/product/213 (API reference)"""


class NotCovered(SpillwayError):
    """A cloud that preflight does not ask yet."""


class RegionPreflight(Protocol):
    """What the module `region` of each cloud has; config and account are the cloud's own."""

    def real(self, config: Any, profile: str | None) -> Any:
        """The account that the environment's credentials lead to. Raises Unreachable."""
        ...

    def stand_in(self, config: Any, directory: Path) -> Any:
        """The stand-in's account in a sandbox's directory."""
        ...

    def rows(
        self,
        config: Any,
        account: Any,
        now: datetime,
        regions: tuple[str, ...],
        say: Say,
        image_age: int,
        global_names: tuple[str, ...],
    ) -> list[Row]:
        """All rows. regions: of all stacks of the cloud, for placement scores. Raises Unreachable."""
        ...


def preflight_of(config: RegionConfig) -> RegionPreflight:
    """The cloud's own preflight. Raises NotCovered where there is none."""
    cloud: str = config.cloud
    if cloud not in PACKAGES:
        look = BY_HAND.get(cloud, "quotas, and what the zones have, in its console").format(region=config.region)
        raise NotCovered(f"preflight does not cover {cloud} yet; look by hand: {look}")
    return cast(RegionPreflight, import_module(PACKAGES[cloud]))
