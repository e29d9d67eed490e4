"""The only provider of a Tencent Cloud stack. By itself, so that it starts before the rest of the SDK is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tencentcloud_iac_pulumi as tencentcloud

if TYPE_CHECKING:
    from infra.config import TencentRegion


def provider(config: TencentRegion) -> tencentcloud.Provider:
    """The stack file's region; any account but the stack file's is refused. Only credentials come from outside:
    TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, or a profile of tccli."""
    return tencentcloud.Provider(config.stack_name, region=config.region, allowed_account_ids=[config.account])
