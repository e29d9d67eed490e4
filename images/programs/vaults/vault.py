"""What all secret stores have in common, and which one is the node's."""

from __future__ import annotations

from typing import Protocol

from images.node import NodeConfig


class VaultError(Exception):
    """A secret could not be read. The message is one line of our own words: never a store's answer, which may repeat
    what was asked, nor any part of a value."""


class Empty(VaultError):
    """There is no value yet: nobody has pushed one."""


class Vault(Protocol):
    """The secret store of the node's region, by the node's identity."""

    def read(self, name: str) -> str:
        """The newest value. Raises VaultError, and Empty where none was pushed."""
        ...


def empty(name: str) -> Empty:
    """For a secret without a value."""
    return Empty(f"{name}: no value yet; `spillway secrets push` puts it in")


def denied(name: str, right: str) -> VaultError:
    """For a secret that the node may not read."""
    return VaultError(f"{name}: denied: {right}")


def unanswered(name: str, error: BaseException | str) -> VaultError:
    """For everything else: told by the kind of the fault alone."""
    kind = error if isinstance(error, str) else type(error).__name__
    return VaultError(f"{name}: the store did not answer ({kind})")


def open_vault(node: NodeConfig) -> Vault:
    """The store; its SDK is imported here and asked nothing yet."""
    if node.cloud == "aws":
        from images.programs.vaults import aws

        return aws.open_vault(node.region)
    if node.cloud == "azure":
        from images.programs.vaults import azure

        return azure.open_vault()
    if node.cloud == "gcp":
        from images.programs.vaults import gcp

        return gcp.open_vault()
    from images.programs.vaults import tencent

    return tencent.open_vault(node.region)
