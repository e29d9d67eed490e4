"""Reading a stack file: YAML with the faults that the engine words badly, or lets pass, told by file and key.

The engine reads the same file with another YAML library (gopkg.in/yaml.v3) and rewrites it when it adds a salt. Where
the two could understand a text differently (`yes`, 012345678901, a repeated key, an alias), this reader refuses it, so
that what was reviewed is what is deployed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from infra.faults import HIDDEN, ConfigError, Fault, did_you_mean, dotted, key_text, listed

T = TypeVar("T")

REGION_KEY: Final = "spillway:region"
GLOBAL_KEY: Final = "spillway:global"
CI_KEY: Final = "spillway:ci"
STACK_KEYS: Final = (REGION_KEY, GLOBAL_KEY, CI_KEY)
# https://www.pulumi.com/docs/iac/concepts/config/ : what the engine itself writes into a stack file.
TOP_LEVEL: Final = ("config", "encryptedkey", "encryptionsalt", "secretsprovider")
PULUMI_KEYS: Final = ("pulumi:autonaming", "pulumi:disable-default-providers", "pulumi:tags")
MAX_BYTES: Final = 1_000_000
DEEPEST: Final = 20

_SECOND: Final = "but found another document"
"""How libyaml and PyYAML call it."""
SECOND_DOCUMENT: Final = (
    "a second YAML document begins here (---): a stack file is one document, and the engine drops the others"
)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster; pure Python works as well
_GLOBAL: Final = re.compile(r"global(-[a-z0-9]+)*")
_CI: Final = re.compile(r"ci(-[a-z0-9]+)*")
_NUMBER: Final = re.compile(r"[-+]?[0-9]+([eE][-+]?[0-9]+)?")


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """SafeLoader without YAML 1.1's surprises, which collects repeated keys instead of taking the last."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.repeated: list[tuple[str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def _construct_text(loader: _Loader, node: yaml.ScalarNode) -> str | int | float:
    value = str(loader.construct_scalar(node))
    # 012345678901 and 1e3 are text to YAML 1.1 but numbers to the engine, which would write them back changed.
    if not node.style and _NUMBER.fullmatch(value) and len(value) < 300:
        return float(value) if "e" in value.lower() else int(value)
    return value


def _construct_time(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:  # 2026-13-45
        return str(loader.construct_scalar(node))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        return loader.construct_yaml_int(node)
    except ValueError:  # more than 4300 digits: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:str", _construct_text)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_time)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
# Only true and false are booleans to the engine; `on: yes` is text there.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def display_name(path: Path) -> str:
    """How a stack file is called in messages: with its folder only, as it lies in the repository."""
    return f"stacks/{path.name}"


def stack_of(path: Path) -> str:
    """`stacks/Pulumi.aws-us-east-1.yaml` -> `aws-us-east-1`."""
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml")


def is_global(stack: str) -> bool:
    """Whether a stack of this name is a global one: `global`, or `global-` and words."""
    return _GLOBAL.fullmatch(stack) is not None


def is_ci(stack: str) -> bool:
    """Whether a stack of this name holds the roles of pipelines: `ci-` and a cloud."""
    return _CI.fullmatch(stack) is not None


def may_be_region(stack: str) -> bool:
    """Whether a stack of this name can be a region: it is neither a global one nor one of pipeline roles."""
    return not (is_global(stack) or is_ci(stack))


def own_key(stack: str) -> str:
    """The key of the object that a stack of this name has."""
    if is_global(stack):
        return GLOBAL_KEY
    return CI_KEY if is_ci(stack) else REGION_KEY


def holds_region(config: Mapping[str, Any]) -> bool:
    """Whether a file with this `config:` map is a region stack's: none of the other stacks' objects is in it, so that a
    file with nothing in it counts, and is told what it lacks."""
    return not ({*STACK_KEYS} - {REGION_KEY}) & config.keys()


def read(path: Path) -> dict[str, Any]:
    """The file's `config:` map, its shape proven. Raises ConfigError with every fault of YAML or of top-level keys."""
    config, faults = read_with_faults(path)
    if faults:
        raise ConfigError(fault.line(display_name(path)) for fault in faults)
    return config


def read_with_faults(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The file's `config:` map and the faults of its keys; raises ConfigError when it cannot be read as YAML at all."""
    name = display_name(path)
    return check_document(_parse(_text(path, name), name), own_key(stack_of(path)))


def load(path: Path, key: str, about: str, parse: Callable[[object, str], T]) -> T:
    """A stack's object out of its file: what `parse` makes of the value of `key` and the file's name for messages.

    about: what the object holds, told when it is missing. Raises ConfigError with the faults of the file and of the
    object, all at once.
    """
    name = display_name(path)
    data, faults = read_with_faults(path)
    if key not in data and not faults:
        faults = [Fault((key,), f"missing; it holds {about}")]
    lines = [fault.line(name) for fault in faults]
    if key in data:
        try:
            found = parse(data[key], name)
        except ConfigError as error:
            lines += error.lines
    if lines:
        raise ConfigError(lines)
    return found


def refuse_documents(path: Path) -> None:
    """Raises ConfigError for a file of several YAML documents. Asked before the engine reads the file: it takes the
    first one, and the others are gone as soon as it writes the file. Whatever else is wrong is told elsewhere."""
    try:
        read_with_faults(path)
    except ConfigError as error:
        if any(line.endswith(SECOND_DOCUMENT) for line in error.lines):
            raise


def document(path: Path, name: str) -> Any:
    """What a YAML file holds, read as strictly as a stack file. Raises ConfigError with `name` for the file."""
    return _parse(_text(path, name), name)


def _text(path: Path, name: str) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{name}: cannot be read: {error.strerror or error}"]) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError([f"{name}: {len(raw)} bytes: a stack file has at most {MAX_BYTES}"])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError([f"{name}: byte {error.start}: not UTF-8 text"]) from None


def _parse(text: str, name: str) -> Any:
    try:
        if "&" in text or "*" in text:
            for token in yaml.parse(text, Loader=_Base):
                anchor = getattr(token, "anchor", None)
                if anchor is not None:
                    where = f"line {token.start_mark.line + 1 if token.start_mark else 1}"
                    raise ConfigError([f"{name}: {where}: YAML anchors and aliases are not allowed ({_clean(anchor)})"])
        loader = _Loader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.composer.ComposerError as error:
        if error.problem == _SECOND and error.problem_mark:
            raise ConfigError([f"{name}: line {error.problem_mark.line + 1}: {SECOND_DOCUMENT}"]) from None
        raise ConfigError([f"{name}: {_yaml_fault(error, text)}"]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError([f"{name}: {_yaml_fault(error, text)}"]) from None
    except yaml.YAMLError as error:
        raise ConfigError([f"{name}: not YAML: {_clean(str(error))}"]) from None
    except RecursionError:
        raise ConfigError([f"{name}: nested too deeply"]) from None
    except (ValueError, TypeError, AttributeError, LookupError) as error:  # a tag that does not fit its value
        raise ConfigError([f"{name}: not YAML: a value does not fit its tag ({_clean(str(error))})"]) from None
    if loader.repeated:
        raise ConfigError(
            f"{name}: line {line}: {dotted((key,))}: the key stands twice in the same map"
            for key, line in loader.repeated
        )
    return document


def _yaml_fault(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    problem = _clean(error.problem or error.context or "syntax error")
    lines = text.split("\n")
    if mark and mark.line < len(lines) and "\t" in lines[mark.line][: mark.column + 1]:
        problem = "a tab stands where YAML wants spaces"
    elif error.context and error.context != error.problem:
        problem = f"{problem} ({_clean(error.context)})"
    return f"{where}not YAML: {problem}"


def _clean(text: str) -> str:
    line = " ".join(text.split())
    return line.encode("ascii", "backslashreplace").decode()[:200]


def check_document(document: Any, own: str = REGION_KEY) -> tuple[dict[str, Any], list[Fault]]:
    """The `config:` map of a parsed stack file and the faults of everything around the stack's own object.

    own: the key of that object.
    """
    if document is None:
        return {}, [Fault((), f"the file is empty; it needs config: with one object under {own}")]
    if not isinstance(document, dict):
        return {}, [Fault((), "the file has to be a map with the key config:")]
    faults: list[Fault] = []
    for key in document:
        if key not in TOP_LEVEL:
            hint = did_you_mean(key, (*TOP_LEVEL, *STACK_KEYS))
            faults.append(Fault((key_text(key),), f"unknown top-level key{hint}; allowed: {', '.join(TOP_LEVEL)}"))
    config = document.get("config")
    if "config" not in document:
        faults.append(Fault(("config",), f"missing; it holds one object under {own}"))
    elif not isinstance(config, dict):
        faults.append(Fault(("config",), f"has to be a map with one object under {own}", config))
    if not isinstance(config, dict):
        return {}, faults
    faults += _check_config_keys(config, own)
    return config, faults


def _check_config_keys(config: dict[Any, Any], own: str) -> list[Fault]:
    faults: list[Fault] = []
    for key, value in config.items():
        path = ("config", key_text(key))
        if key != own:  # there it is found together with everything else
            faults += [Fault(("config", *at), why, HIDDEN) for at, why in encrypted_values(value, path[1:])]
        if key in STACK_KEYS or key in PULUMI_KEYS:
            continue
        if isinstance(key, str) and key.split(":")[0] in ("aws", "azure-native", "cloudflare", "gcp"):
            faults.append(Fault(path, f"the provider is configured by the program alone, from {own}"))
            continue
        hint = did_you_mean(key, STACK_KEYS + PULUMI_KEYS)
        faults.append(Fault(path, f"unknown key{hint}; allowed: {', '.join(STACK_KEYS + PULUMI_KEYS)}"))
    present = [key for key in STACK_KEYS if key in config]
    if len(present) > 1:
        faults.append(Fault(("config",), f"has {listed(present).replace(' or ', ' and ')}: a stack is one of them"))
    return faults


def encrypted_values(value: Any, path: tuple[str | int, ...]) -> list[tuple[tuple[str | int, ...], str]]:
    """Every `secure:` at any depth. The engine would decrypt it and write it into the state in clear text."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    if len(path) > DEEPEST:  # no setting lies so deep: the models refuse it, whatever it is
        return found
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "secure":
                why = "encrypted values are not allowed: put the name of a secret here, never its value"
                found.append(((*path, "secure"), why))
            else:
                found += encrypted_values(item, (*path, key_text(key)))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            found += encrypted_values(item, (*path, index))
    return found
