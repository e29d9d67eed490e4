"""Data sources of a region's resources, by the names that make their ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.galleries import needed
from sandbox.azure_native.regional import Regional
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError

COVERED: Final = (
    tokens.VIRTUAL_NETWORK,
    tokens.SUBNET,
    tokens.SECURITY_GROUP,
    tokens.NAT_GATEWAY,
    tokens.LOAD_BALANCER,
    tokens.SCALE_SET,
    tokens.STORAGE_ACCOUNT,
    tokens.CONTAINER,
    tokens.VAULT,
    tokens.IDENTITY,
    tokens.WEB_APP,
    tokens.WORKSPACE,
)


def _getter(token: str) -> Callable[[Args, Cloud], dict[str, Any]]:
    def get(args: Args, cloud: Cloud) -> dict[str, Any]:
        kind = AZURE_NATIVE.kinds[token]
        assert isinstance(kind, Regional)
        needed(args, *kind.path)
        found = arm.find_by_id(cloud, token, kind.new_id(args, cloud))
        if found is None:
            segments = "/".join(f"{type_name}/{name}" for type_name, name in kind.segments(args))
            raise CloudError(
                "ResourceNotFound",
                f"The Resource '{kind.namespace}/{segments}' under resource group '{args['resourceGroupName']}' was "
                "not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            )
        return {**found.outputs, "id": found.id}

    return get


for _token in COVERED:
    _module, _name = _token.split(":")[1:]
    AZURE_NATIVE.invoke(f"azure-native:{_module}:get{_name}")(_getter(_token))
