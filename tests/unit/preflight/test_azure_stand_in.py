"""The stand-in's subscription: before the first deployment, after it, and in bad weather."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.clouds import WEATHER
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.models.stores import open_store
from spillway.preflight.azure_region import region
from spillway.preflight.model import Row
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import states
from tests.unit.preflight.fake_azure import ACCOUNT, NOW, SIZE, STACK, SUBSCRIPTION, VAULT, config
from tests.unit.preflight.kept import keep

GROUP = f"spillway-{STACK}"
TAGS = {"spillway-stack": STACK}


def asked(directory: Path, changes: dict[str, Any] | None = None) -> dict[str, Row]:
    wanted = config(changes)
    made = region.rows(wanted, region.stand_in(wanted, directory), NOW, ("eastus",), lambda _: None)
    found = {row.id: row for row in made}
    assert len(found) == len(made), "ids are unique"
    return found


def weather(directory: Path, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / WEATHER).write_text(text)


def cloud() -> MemoryCloud:
    return MemoryCloud("eastus", SUBSCRIPTION, AZURE_NATIVE)


def put(made: MemoryCloud, token: str, name: str, **more: Any) -> Resource:
    """A neighbour, as the stand-in's plugin would have kept it."""
    kind = {
        tokens.VAULT: "Microsoft.KeyVault/vaults",
        tokens.STORAGE_ACCOUNT: "Microsoft.Storage/storageAccounts",
        tokens.VIRTUAL_NETWORK: "Microsoft.Network/virtualNetworks",
        tokens.PUBLIC_ADDRESS: "Microsoft.Network/publicIPAddresses",
        tokens.SCALE_SET: "Microsoft.Compute/virtualMachineScaleSets",
    }.get(token)
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    id = f"{group}/providers/{kind}/{name}" if kind else group
    return made.stand_in(token, id, name=name, location="eastus", **{"resourceGroupName": GROUP, "tags": TAGS, **more})


def deployed(directory: Path, tags: dict[str, str] = TAGS) -> MemoryCloud:
    made = cloud()
    put(made, tokens.RESOURCE_GROUP, GROUP, tags=tags)
    for token, name in (
        (tokens.VIRTUAL_NETWORK, "vnet"), (tokens.PUBLIC_ADDRESS, "lb"), (tokens.PUBLIC_ADDRESS, "nat"),
        (tokens.VAULT, VAULT), (tokens.STORAGE_ACCOUNT, ACCOUNT),
    ):  # fmt: skip
        put(made, token, name, tags=tags)
    keep(directory, made)
    return made


def test_before_the_first_deployment_the_shipped_stack_is_ready_and_no_file_is_made(tmp_path: Path) -> None:
    found = asked(tmp_path / "sandbox")
    assert states(found) == {}
    assert set(states(found, "note")) == {"weights", "certificate", "api-keys"}
    assert not (tmp_path / "sandbox").exists()


def test_a_deployed_region_is_not_counted_twice_and_misses_only_its_contents(tmp_path: Path) -> None:
    deployed(tmp_path)
    found = asked(tmp_path)
    assert states(found) == {"weights": "warning", "certificate": "warning", "api-keys": "warning"}
    assert found["addresses"].found == "0 used by others, 2 by this stack, quota 1000"
    assert found["vault"].found == f"{VAULT}: this stack's"
    key = "models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
    open_store(config(), tmp_path, None, 1).put(key, b"{}", hashlib.sha256(b"{}").hexdigest())
    assert asked(tmp_path)["weights"].state == "ok"


def test_what_another_stack_holds_under_this_ones_names_fails(tmp_path: Path) -> None:
    deployed(tmp_path, {"spillway-stack": "azure-westus"})
    assert states(asked(tmp_path), "failure").keys() == {"group", "vault", "bucket"}


def test_the_weathers_quotas_are_the_subscriptions(tmp_path: Path) -> None:
    weather(
        tmp_path,
        "quotas:\n"
        "  - {cloud: azure-native, name: standardNDASv4_A100Family, value: 96}\n"
        "  - {cloud: azure-native, region: eastus, name: lowPriorityCores, value: 192}\n"
        "  - {cloud: azure-native, region: westus2, name: cores, value: 0}\n"
        "  - {cloud: azure-native, name: StandardSkuPublicIpAddresses, value: 1}\n",
    )
    assert states(asked(tmp_path)) == {
        "quota.on-demand.standardNDASv4_A100Family": "failure",
        "quota.spot.lowPriorityCores": "warning",
        "addresses": "failure",
    }


def test_own_machines_are_a_part_of_what_the_stack_needs_and_others_are_not(tmp_path: Path) -> None:
    made = deployed(tmp_path)
    regular = {"virtualMachineProfile": {"priority": "Regular"}, "sku": {"name": SIZE, "capacity": 6}}
    put(made, tokens.SCALE_SET, "own", **regular)
    put(made, tokens.SCALE_SET, "theirs", **regular, tags={})
    keep(tmp_path, made)
    row = asked(tmp_path)["quota.on-demand.standardNDASv4_A100Family"]
    assert (row.state, row.found) == ("ok", "1152 vCPUs, 576 used by others")


def test_sold_out_weather_is_a_note_since_up_succeeds(tmp_path: Path) -> None:
    weather(tmp_path, f"soldOut:\n  - {{cloud: azure-native, zone: eastus, type: {SIZE}}}\n")
    found = asked(tmp_path)
    assert states(found) == {}
    assert found["sold-out.spot"].found == f"{SIZE} in eastus"
    assert found["sold-out.spot"].action == "`up` succeeds all the same; the fallback buys on-demand"
    assert found["sold-out.on-demand"].action.endswith("only another region helps")


def test_a_name_is_one_for_all_subscriptions_and_a_deleted_vault_keeps_its_own(tmp_path: Path) -> None:
    with Store(tmp_path).transaction(write=True) as tx:
        for token, name in ((tokens.STORAGE_ACCOUNT, ACCOUNT), (tokens.VAULT, VAULT)):
            tx.put("azure-native", Resource(token, f"/x/{name}", "eastus", "another", {}, {"name": name}))
    assert states(asked(tmp_path), "failure").keys() == {"vault", "bucket"}
    made = MemoryCloud("", SUBSCRIPTION, AZURE_NATIVE)  # the plugin's provider names no region
    made.stand_in(
        tokens.DELETED_VAULT, "left", name=VAULT, location="westus", until="2099-01-01T00:00:00+00:00", secrets=[]
    )
    keep(tmp_path, made)
    assert asked(tmp_path)["vault"].commands == (f"az keyvault purge --name {VAULT} --location westus",)


def test_an_image_that_is_not_in_the_region_says_where_it_is(tmp_path: Path) -> None:
    assert asked(tmp_path, {"image": {"family": "spillway-vllm", "version": "1.1.1"}})["image"].state == "failure"
    newest = asked(tmp_path, {"image": {"family": "spillway-vllm", "newest": True}})["image"]
    assert (newest.state, newest.found.split(",")[0]) == ("ok", "2026.11.1")
    other = asked(tmp_path, {"image": {"family": "other", "newest": True}})["image"]
    assert other.found == "no such image definition"
