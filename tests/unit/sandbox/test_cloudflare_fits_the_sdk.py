"""Every property that a kind of Cloudflare names exists in the SDK, and is of a kind that the rule can judge."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import schema
from sandbox.cloudflare import CLOUDFLARE, tokens
from tests.support.cloudflare import site
from tests.support.sdk import reaches, strange_outputs


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("cloudflare", "pulumi-cloudflare", CLOUDFLARE.kinds, CLOUDFLARE.invokes)


@pytest.mark.parametrize("token", sorted(CLOUDFLARE.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, spec = CLOUDFLARE.kinds[token], document["resources"][token]
    named = [*kind.replace_on, *kind.sets, *kind.defaults, *(ref.path for ref in kind.references)]
    assert [path for path in named if not reaches(document, spec["inputs"], path)] == []
    if kind.changes_on_update and "modifiedOn" not in spec["outputs"]:
        pytest.fail("modifiedOn is no output")


def test_what_kinds_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    net = site()
    first, last = net.pool("first", enabled=False), net.pool("last")
    net.balancer(first, last, proxied=True, sessionAffinity="cookie")
    net.record(comment="why", tags=["owner:me"])
    net.record(name="alias", type="CNAME", content="www.example.com")
    net.cloud.create(tokens.ZONE_SETTING, zoneId=net.zone.id, settingId="ssl", value="strict")
    net.cloud.create(tokens.ZONE_DNSSEC, zoneId=net.zone.id, status="active")
    member = {"monitorId": net.monitor.id, "enabled": True, "monitoringOnly": False, "mustBeHealthy": True}
    net.cloud.create(tokens.MONITOR_GROUP, accountId=first["accountId"], description="one", members=[member])
    made = net.cloud.state.resources.values()
    assert {resource.token for resource in made} == set(CLOUDFLARE.kinds)
    assert strange_outputs(document, made) == []
