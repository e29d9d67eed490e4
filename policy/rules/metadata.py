"""Instance metadata that only the node itself can read: IMDSv2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, Policy, Settings, get, unknown

TYPES: Final = frozenset({
    "aws:ec2/launchTemplate:LaunchTemplate", "aws:ec2/instance:Instance",
    "aws:ec2/launchConfiguration:LaunchConfiguration",
})  # fmt: skip


class Metadata(Settings):
    """What may ask a node's metadata service."""

    hop_limit: int = Field(
        default=1,
        ge=1,
        le=64,
        description="hops that an answer may take; 2 lets containers with a network of their own ask",
    )


def _each(resource: Resource, settings: Metadata) -> Iterator[Finding]:
    if resource.type not in TYPES:
        return
    tokens = get(resource, "metadataOptions", "httpTokens")
    if get(resource, "metadataOptions", "httpEndpoint") == "disabled":
        return
    if isinstance(tokens, Unknown):
        yield from unknown(resource, "metadataOptions.httpTokens", tokens)
    elif tokens != "required":
        # What is left out is the account's or the image's to say
        # (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-options.html).
        yield Finding(resource.urn, f"metadataOptions.httpTokens = {tokens or 'nothing'}: allowed is required (IMDSv2)")
    hops = get(resource, "metadataOptions", "httpPutResponseHopLimit")
    if isinstance(hops, int | float) and hops > settings.hop_limit:
        yield Finding(
            resource.urn, f"metadataOptions.httpPutResponseHopLimit = {int(hops)}: allowed is {settings.hop_limit}"
        )


POLICY: Final = Policy(
    "imdsv2",
    "IMDSv2 only",
    "A node's metadata, and with them its role, are read with session tokens and from the node alone.",
    Metadata,
    each=_each,
)
