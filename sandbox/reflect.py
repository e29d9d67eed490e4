"""Extraction of the schema from an installed SDK; `schema.py` runs it as `python -m sandbox.reflect PACKAGE VERSION`.

Python SDKs carry their whole input schema in typed classes: `pulumi._types` maps attribute names to wire names and
unwraps `Input[...]`. Required properties are the parameters of `__init__` without a default.
"""

from __future__ import annotations

import collections.abc
import enum
import importlib
import inspect
import json
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

import pulumi
from pulumi import _types

from sandbox.clouds import DISTRIBUTIONS
from sandbox.schema import Node

_SCALARS: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


class Reflection:
    """Reads one SDK package, such as pulumi_aws."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.python_name = DISTRIBUTIONS[package].replace("-", "_")
        self.root = importlib.import_module(self.python_name)
        self.objects: dict[str, Any] = {}
        self._classes = self._registered_classes()

    def _registered_classes(self) -> dict[str, tuple[str, str]]:
        """token -> (module, class name), from the registration at the end of the SDK's __init__.py."""
        text = Path(str(self.root.__file__)).read_text()
        found: dict[str, tuple[str, str]] = {}
        for block in re.finditer(r'resource_modules="""\s*(\[.*?\])\s*"""', text, re.S):
            for module in json.loads(block.group(1)):
                for token, name in module["classes"].items():
                    found[token] = (module["fqn"], name)
        return found

    def resource(self, token: str) -> dict[str, Any]:
        """Inputs, required inputs, outputs and always-secret outputs of one resource type."""
        if token not in self._classes:
            raise LookupError(f"{token} is not a type of the installed {self.python_name}")
        module_name, class_name = self._classes[token]
        cls = getattr(importlib.import_module(module_name), class_name)
        home = sys.modules[cls.__module__]
        # Where a nested type took the name, code generation calls the resource's own arguments InitArgs.
        args = getattr(home, f"{class_name}InitArgs", None) or getattr(home, f"{class_name}Args")
        inputs, required = self._inputs(args)
        outputs = {name: self.node(hint) for name, hint in _types.resource_types(cls).items()}
        source = inspect.getsource(cls._internal_init)
        marked = re.search(r"additional_secret_outputs=\[([^\]]*)\]", source)
        secret = re.findall(r'"([^"]+)"', marked.group(1)) if marked else []
        return {"inputs": inputs, "required": required, "outputs": outputs, "secret": secret}

    def provider(self) -> dict[str, Any]:
        """Inputs of the provider resource itself."""
        inputs, required = self._inputs(self.root.ProviderArgs)
        return {"inputs": inputs, "required": required}

    def invoke(self, token: str) -> dict[str, Any]:
        """Arguments and results of one data source."""
        _, module, name = token.split(":")
        module = module.split("/")[0].lower()  # the provider of Tencent Cloud begins modules with a capital
        where = self.root if module == "index" else importlib.import_module(f"{self.python_name}.{module}")
        function = getattr(where, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), None)
        if function is None:
            raise LookupError(f"{token} is not a function of the installed {self.python_name}")
        source = inspect.getsource(function)
        wire = {attr: key for key, attr in re.findall(r"__args__\['(\w+)'\] = (\w+)", source)}
        hints = typing.get_type_hints(function)
        parameters = inspect.signature(function).parameters
        result = hints["return"]
        outputs = typing.get_args(result)[0] if typing.get_origin(result) else result
        base = next((c for c in outputs.__mro__ if "__annotations__" not in c.__dict__ and c is not object), outputs)
        getters = {
            n: typing.get_type_hints(p.fget).get("return", Any)
            for n, p in inspect.getmembers(base, lambda m: isinstance(m, property))
        }
        names = _types.output_type_to_pulumi_names(base) if hasattr(_types, "output_type_to_pulumi_names") else {}
        return {
            "inputs": {key: self.node(hints[attr]) for attr, key in wire.items() if attr in hints},
            "required": [wire[n] for n, p in parameters.items() if n in wire and p.default is inspect.Parameter.empty],
            "outputs": {names.get(n, _camel(n)): self.node(h) for n, h in getters.items()},
        }

    def _inputs(self, args: Any) -> tuple[dict[str, Node], list[str]]:
        names = _types.input_type_py_to_pulumi_names(args)
        hints = _types.input_type_types(args)
        parameters = inspect.signature(args.__init__).parameters
        required = [names[n] for n, p in parameters.items() if n in names and p.default is inspect.Parameter.empty]
        return {wire: self.node(hints.get(wire, Any)) for wire in names.values()}, sorted(required)

    def node(self, hint: Any) -> Node:
        """A type hint of the SDK as a schema node."""
        hint = _strip(hint)
        if hint in _SCALARS:
            return {"t": _SCALARS[hint]}
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union([_strip(a) for a in arguments])
        if origin in (collections.abc.Sequence, list):
            return {"t": "array", "of": self.node(arguments[0])}
        if origin in (collections.abc.Mapping, dict):
            return {"t": "map", "of": self.node(arguments[1])}
        if inspect.isclass(hint) and issubclass(hint, enum.Enum):
            return {"t": _enum_scalar(hint), "enum": [m.value for m in hint], "open": False}
        if inspect.isclass(hint) and _types.is_input_type(hint):
            return {"t": "object", "ref": self._object(hint)}
        if inspect.isclass(hint) and _types.is_output_type(hint):
            return {"t": "any"}
        return {"t": "any"}

    def _union(self, members: list[Any]) -> Node:
        nodes: list[Node] = []
        for member in members:
            node = self.node(member)
            if node not in nodes:
                nodes.append(node)
        if any(n["t"] == "object" for n in nodes):
            nodes = [n for n in nodes if n["t"] != "any"]  # the TypedDict form beside the Args class
        enums = [n for n in nodes if "enum" in n]
        plain = [n for n in nodes if "enum" not in n]
        if enums and len(plain) == 1 and plain[0]["t"] == enums[0]["t"]:
            return {"t": plain[0]["t"], "enum": [v for n in enums for v in n["enum"]], "open": True}
        return nodes[0] if len(nodes) == 1 else {"t": "union", "of": nodes}

    def _object(self, cls: Any) -> str:
        name = cls.__name__.removesuffix("Args")
        key = f"{cls.__module__.split('.')[1]}_{name}" if cls.__module__.count(".") > 1 else name
        if key not in self.objects:
            self.objects[key] = {"props": {}, "required": []}  # placed first: types may be recursive
            inputs, required = self._inputs(cls)
            self.objects[key] = {"props": inputs, "required": required}
        return key


def _strip(hint: Any) -> Any:
    """The value type inside Optional, Input, Awaitable and Output."""
    while True:
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            kept = [a for a in typing.get_args(hint) if not _is_wrapper(a)]
            if len(kept) != 1:
                return typing.Union[tuple(kept)] if kept else Any  # noqa: UP007 - made at run time
            hint = kept[0]
        elif origin is pulumi.Output or (inspect.isclass(origin) and issubclass(origin, collections.abc.Awaitable)):
            hint = typing.get_args(hint)[0]
        else:
            return hint


def _is_wrapper(hint: Any) -> bool:
    if hint is type(None):
        return True
    origin = typing.get_origin(hint)
    if origin is pulumi.Output or origin is collections.abc.Awaitable:
        return True
    return inspect.isclass(hint) and typing.is_typeddict(hint)


def _enum_scalar(cls: type[enum.Enum]) -> str:
    return _SCALARS.get(next((b for b in cls.__mro__ if b in _SCALARS), str), "string")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def main(package: str, version: str) -> int:
    wanted = json.load(sys.stdin)
    reflection = Reflection(package)
    try:
        document = {
            "version": version,
            "provider": reflection.provider(),
            "resources": {token: reflection.resource(token) for token in wanted["resources"]},
            "invokes": {token: reflection.invoke(token) for token in wanted["invokes"]},
        }
    except LookupError as error:
        print(error.args[0], file=sys.stderr)
        return 1
    json.dump({**document, "objects": reflection.objects}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
