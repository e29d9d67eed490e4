"""The stand-in Azure: importing this package registers every type and data source that its modules define."""

import importlib
import pkgutil

from sandbox.azure_native.registry import AZURE_NATIVE

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["AZURE_NATIVE"]
