"""Every property that a kind of Cloudflare names exists in the SDK, and is of a kind that the rule can judge."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import schema
from sandbox.cloudflare import CLOUDFLARE, tokens
from sandbox.values import steps
from tests.support.cloudflare import site


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("cloudflare", "pulumi-cloudflare", CLOUDFLARE.kinds, CLOUDFLARE.invokes)


def _reaches(document: dict[str, Any], props: dict[str, Any], pattern: str) -> bool:
    """Whether a property path leads somewhere in a map of nodes."""
    node: dict[str, Any] | None = {"t": "root"}
    for step in steps(pattern):
        assert node is not None
        kind = node["t"]
        if kind == "any":
            return True
        if step is None or kind == "map":
            node = node["of"] if kind in ("array", "map") else None
        else:
            known = props if kind == "root" else document["objects"][node["ref"]]["props"] if kind == "object" else {}
            node = known.get(str(step))
        if node is None:
            return False
    return True


@pytest.mark.parametrize("token", sorted(CLOUDFLARE.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, spec = CLOUDFLARE.kinds[token], document["resources"][token]
    named = [*kind.replace_on, *kind.sets, *kind.defaults, *(ref.path for ref in kind.references)]
    assert [path for path in named if not _reaches(document, spec["inputs"], path)] == []
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
    strange = {
        f"{resource.token}: {key}"
        for resource in made
        for key in resource.outputs
        if key not in document["resources"][resource.token]["outputs"]
    }
    assert strange == set()
