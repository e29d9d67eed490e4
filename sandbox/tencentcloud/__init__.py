"""The stand-in Tencent Cloud: importing this package registers every type and data source that its modules define."""

import importlib
import pkgutil

from sandbox.tencentcloud.registry import TENCENTCLOUD

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["TENCENTCLOUD"]
