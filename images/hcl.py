"""Checks of rendered HCL that need no Packer: that it parses, that every option is one of the pinned plugins' own and
of its type (images/packer/schema.yaml), and that the image comes out private, encrypted, and with IMDSv2 alone.

An old Packer (Debian has 1.6.6) proves the old plugins; this is for what came after.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

SCHEMA: Final = Path(__file__).resolve().parent / "packer/schema.yaml"
COMMON: Final = {"override", "only", "except", "pause_before", "max_retries", "timeout", "name", "keep_input_artifact"}
"""What every provisioner and post-processor takes:
https://developer.hashicorp.com/packer/docs/templates/hcl_templates/blocks/build/provisioner"""
SECRETS: Final = re.compile(r"(secret|password|token|access_key|credentials|account_file|client_jwt)")
_EXPRESSION: Final = re.compile(r"\$\{.*\}", re.DOTALL)

Body = dict[str, Any]


class Missing(Exception):
    """python-hcl2 is not installed."""


@cache
def schema() -> dict[str, Any]:
    """Options by type, of builders, provisioners and post-processors."""
    found: dict[str, Any] = yaml.safe_load(SCHEMA.read_text())
    return found


def parse(text: str) -> Body:
    """HCL as nested dictionaries, with plain keys and strings. Raises Missing, ValueError when it is no HCL."""
    try:
        import hcl2
    except ModuleNotFoundError:
        raise Missing("python-hcl2 is not installed (it is in the dependency group dev)") from None
    try:
        found: Body = _plain(hcl2.loads(text))
    except Exception as error:  # the parser's own, lark's, of many kinds
        raise ValueError("is no HCL: " + str(error).split("\n", 1)[0].strip()) from None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        # The parser's own notes are __comments__, __is_block__ and the like.
        return {_plain(key): _plain(one) for key, one in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    return value


def merged(files: Mapping[str, str]) -> Body:
    """All files of a folder as Packer reads them: one. Raises as `parse`, with the file's name."""
    whole: Body = {}
    for name, text in sorted(files.items()):
        try:
            parsed = parse(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        for key, blocks in parsed.items():
            whole.setdefault(key, []).extend(blocks)
    return whole


def check(files: Mapping[str, str]) -> list[str]:
    """One line per fault; none when the rendered folder is sound. Raises Missing."""
    try:
        whole = merged(files)
    except ValueError as error:
        return [str(error)]
    return [*_options(whole), *_variables(whole), *_safety(whole)]


def source(whole: Body) -> tuple[str, Body]:
    """(builder, options) of the one source."""
    ((builder, named),) = whole["source"][0].items()
    return builder, next(iter(named.values()))


def _options(whole: Body) -> Iterator[str]:
    for block in whole.get("source", ()):
        for builder, named in block.items():
            if builder not in schema():
                yield f"source {builder}: is no builder of the pinned plugins"
                continue
            for body in named.values():
                yield from _body(builder, body, schema()[builder])
    sources = {f"source.{kind}.{name}" for block in whole.get("source", ()) for kind in block for name in block[kind]}
    for build in whole.get("build", ()):
        for name in build.get("sources", ()):
            if name not in sources:
                yield f"build: sources names {name}, which there is no source of"
        for part in ("provisioner", "post-processor"):
            for block in build.get(part, ()):
                for kind, body in block.items():
                    if kind not in schema():
                        yield f"{part} {kind}: is not one that is checked (images/packer/schema.yaml)"
                        continue
                    yield from _body(kind, {k: v for k, v in body.items() if k not in COMMON}, schema()[kind])


def _body(where: str, body: Body, spec: Body) -> Iterator[str]:
    types = {name: kind for kind in ("string", "number", "bool", "list", "map") for name in spec.get(kind, ())}
    blocks = spec.get("blocks", {})
    for name, value in body.items():
        if name in blocks:
            if not isinstance(value, list):
                yield f"{where}: {name} is a block, not an argument"
                continue
            for one in value:
                yield from _body(f"{where}.{name}", one, blocks[name])
        elif name not in types:
            yield f"{where}: {name} is no option of it"
        elif not _is(value, types[name]):
            yield f"{where}: {name} = {value!r}: expected a {types[name]}"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, str) and _EXPRESSION.fullmatch(value):
        return True  # an expression: Packer knows its type, this does not
    return {
        "string": lambda: isinstance(value, str),
        "number": lambda: isinstance(value, int | float) and not isinstance(value, bool),
        "bool": lambda: isinstance(value, bool),
        "list": lambda: isinstance(value, list),
        "map": lambda: isinstance(value, dict),
    }[kind]()


def _variables(whole: Body) -> Iterator[str]:
    known = {name for block in whole.get("variable", ()) for name in block}
    used = set(re.findall(r"\bvar\.([a-z_]+)", repr(whole)))
    for name in sorted(used - known):
        yield f"variable {name}: is used and not there"
    for name in sorted(known - used):
        yield f"variable {name}: is there and nothing uses it"


def _safety(whole: Body) -> Iterator[str]:
    """What an image must be, whatever a template says."""
    if "source" not in whole:
        yield "there is no source"
        return
    builder, body = source(whole)
    for name in body:
        if SECRETS.search(name):
            yield f"{builder}: {name} would put a secret into the template; the environment gives credentials"
    if builder == "amazon-ebs":
        yield from _amazon(body)
    elif builder == "azure-arm" and "shared_image_gallery_destination" not in body:
        yield "azure-arm: shared_image_gallery_destination is missing: stack files find images in a gallery"
    elif builder == "googlecompute":
        if not body.get("source_image_project_id"):
            yield "googlecompute: source_image_project_id is missing: anybody may name an image so"
        if body.get("disable_default_service_account") is not True:
            yield "googlecompute: disable_default_service_account has to be true: the builder needs no rights"


def _amazon(body: Body) -> Iterator[str]:
    metadata = (body.get("metadata_options") or [{}])[0]
    if metadata.get("http_tokens") != "required":
        yield 'amazon-ebs: metadata_options.http_tokens has to be "required"'
    if body.get("imds_support") != "v2.0":
        yield 'amazon-ebs: imds_support has to be "v2.0"'
    if body.get("encrypt_boot") is not True:
        yield "amazon-ebs: encrypt_boot has to be true"
    for name in ("ami_groups", "ami_users", "ami_org_arns", "ami_ou_arns", "snapshot_groups", "snapshot_users"):
        if body.get(name):
            yield f"amazon-ebs: {name} shares the image; it is private"
    owners = (body.get("source_ami_filter") or [{}])[0].get("owners")
    if not owners or not all(re.fullmatch(r"[0-9]{12}", str(one)) for one in owners):
        yield "amazon-ebs: source_ami_filter.owners has to be account ids: anybody may name an image so"
    for mapping in body.get("launch_block_device_mappings", ()):
        if mapping.get("encrypted") is not True:
            yield "amazon-ebs: launch_block_device_mappings.encrypted has to be true"
