"""From a typed node configuration to a machine's user data: cloud-init, the same bytes for the same configuration."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from images.node import NodeConfig

TEMPLATES: Final = Path(__file__).resolve().parent / "templates"

USER_DATA_MAX: Final = 16_384
"""Bytes, before base64 encoding (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html)."""


class UserDataTooLarge(ValueError):
    """User data beyond the cloud's limit; the message says how many bytes of how many."""


@cache
def _template(name: str) -> Template:
    # Not HTML, so nothing is escaped; NodeConfig's patterns keep what reaches a shell script to plain path characters.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        comment_start_string="<#",  # the default, {#, is how a shell script writes the length of an array
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)


def render_node_json(config: NodeConfig) -> str:
    """/etc/spillway/node.json: keys in the order of the model, ASCII only, one trailing newline."""
    return json.dumps(config.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=True) + "\n"


def render_storage_script(config: NodeConfig) -> str:
    """The script that makes scratch and data file systems at every boot."""
    return _template("storage.sh.j2").render(disks=config.disks, cloud=config.cloud)


def render_storage_unit() -> str:
    """The systemd unit that runs the script before anything that needs weights."""
    return _template("spillway-storage.service.j2").render()


def render_user_data(config: NodeConfig) -> str:
    """cloud-init user data (`#cloud-config`) of a node, in clear text.

    Raises UserDataTooLarge when it is over 16,384 bytes, the limit of EC2; Azure and GCP take more.
    """
    text = _template("user-data.yaml.j2").render(
        node_json=render_node_json(config),
        storage_script=render_storage_script(config),
        storage_unit=render_storage_unit(),
    )
    size = len(text.encode())
    if size > USER_DATA_MAX:
        raise UserDataTooLarge(f"user data of {config.group} has {size:,} bytes, the limit is {USER_DATA_MAX:,}")
    return text
