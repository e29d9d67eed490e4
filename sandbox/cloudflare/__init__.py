"""The stand-in Cloudflare: importing this package registers every type and data source that its modules define."""

import importlib
import pkgutil

from sandbox.cloudflare.registry import CLOUDFLARE

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["CLOUDFLARE"]
