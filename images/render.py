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
    # Not HTML, so nothing is escaped; node.json is JSON within a YAML block, where any text stays text.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)


def render_node_json(config: NodeConfig) -> str:
    """/etc/spillway/node.json: keys in the order of the model, ASCII only, one trailing newline."""
    return json.dumps(config.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=True) + "\n"


def render_user_data(config: NodeConfig) -> str:
    """cloud-init user data (`#cloud-config`) of a node, in clear text.

    Raises UserDataTooLarge when it is over 16,384 bytes, the limit of EC2; Azure and GCP take more.
    """
    text = _template("user-data.yaml.j2").render(node_json=render_node_json(config))
    size = len(text.encode())
    if size > USER_DATA_MAX:
        raise UserDataTooLarge(f"user data of {config.group} has {size:,} bytes, the limit is {USER_DATA_MAX:,}")
    return text
