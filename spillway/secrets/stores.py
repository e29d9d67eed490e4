"""Which store a stack file means: one opener per cloud, and one per stand-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spillway.secrets.store import SecretStore

if TYPE_CHECKING:
    from infra.config import RegionConfig


def _aws(config: RegionConfig, profile: str | None) -> SecretStore:
    from spillway.secrets import aws

    return aws.open_store(config.account, config.region, profile)


def _azure(config: RegionConfig, profile: str | None) -> SecretStore:
    from infra.azure import names
    from spillway.secrets import azure

    return azure.open_store(f"https://{names.vault(config.stack_name, config.account)}.vault.azure.net")


def _gcp(config: RegionConfig, profile: str | None) -> SecretStore:
    from spillway.secrets import gcp

    return gcp.open_store(config.account)


def _aws_stand_in(config: RegionConfig, directory: Path) -> SecretStore:
    from spillway.secrets.sandbox import StandInSecretsManager

    return StandInSecretsManager(directory, config.account, config.region)


def _azure_stand_in(config: RegionConfig, directory: Path) -> SecretStore:
    from infra.azure import names
    from spillway.secrets.sandbox import StandInKeyVault

    return StandInKeyVault(directory, config.account, config.region, names.vault(config.stack_name, config.account))


def _gcp_stand_in(config: RegionConfig, directory: Path) -> SecretStore:
    from spillway.secrets.sandbox import StandInSecretManager

    return StandInSecretManager(directory, config.account, config.region)


CLOUDS: Final[Mapping[str, Callable[[RegionConfig, str | None], SecretStore]]] = {
    "aws": _aws,
    "azure": _azure,
    "gcp": _gcp,
}
STAND_INS: Final[Mapping[str, Callable[[RegionConfig, Path], SecretStore]]] = {
    "aws": _aws_stand_in,
    "azure": _azure_stand_in,
    "gcp": _gcp_stand_in,
}


def open_store(config: RegionConfig, sandbox: Path | None, profile: str | None) -> SecretStore:
    """The store of a region on one of CLOUDS; of the stand-in when `sandbox` is its directory.

    Nothing is asked yet. Raises what the SDK says of missing credentials, and StoreError where it is not installed.
    """
    if sandbox is not None:
        return STAND_INS[config.cloud](config, sandbox)
    return CLOUDS[config.cloud](config, profile)
