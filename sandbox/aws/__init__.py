"""The stand-in AWS: importing this package registers every type and data source that its modules define."""

import importlib
import pkgutil

from sandbox.aws.registry import AWS

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["AWS"]
