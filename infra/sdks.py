"""The cloud SDKs, each an extra of its own: a stack imports only the one that it needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from infra.faults import ConfigError

EXTRAS: Final = {
    "aws": "pulumi_aws",
    "azure": "pulumi_azure_native",
    "cloudflare": "pulumi_cloudflare",
    "gcp": "pulumi_gcp",
    "tencent": "tencentcloud_iac_pulumi",
}
"""Extra -> the package that it brings."""


def require(extra: str, file: str, key: str, value: str) -> None:
    """Raises ConfigError, with how to install it, when the SDK that a stack file's value needs is not there."""
    if find_spec(EXTRAS[extra]) is None:
        why = f"needs {EXTRAS[extra]}, which is not installed; `make setup` installs it"
        raise ConfigError([f"{file}: {key} = {value}: {why}"])
