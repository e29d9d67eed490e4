"""Pulumi's wire messages without Pulumi's SDK.

`import pulumi.runtime.proto` runs the whole SDK (0.3 s of CPU, no part of which a plugin needs). The two packages above
the generated modules are entered as bare namespaces instead. Never import this in a process that also runs Pulumi
programs.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path


def _bare(name: str, path: Path) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(path)]
    sys.modules[name] = module


_STAND_INS = ("pulumi", "pulumi.runtime") if "pulumi" not in sys.modules else ()
if _STAND_INS:
    _spec = importlib.util.find_spec("pulumi")
    if _spec is None or not _spec.submodule_search_locations:
        raise ImportError("pulumi is not installed")
    _root = Path(next(iter(_spec.submodule_search_locations)))
    _bare("pulumi", _root)
    _bare("pulumi.runtime", _root / "runtime")

from pulumi.runtime.proto import (  # noqa: E402
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

for _name in _STAND_INS:  # whoever imports the SDK after this gets the real one
    del sys.modules[_name]

__all__ = ["plugin_pb2", "provider_pb2", "provider_pb2_grpc"]
