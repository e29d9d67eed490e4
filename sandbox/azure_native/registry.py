"""The registry that every module of Azure types adds to."""

from sandbox.kinds import Registry

AZURE_NATIVE = Registry(
    "azure-native",
    "00000000-0000-4000-8000-000000000000",
    lambda settings: str(settings["subscriptionId"]) if settings.get("subscriptionId") else None,
)
