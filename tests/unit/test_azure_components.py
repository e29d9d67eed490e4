"""What the components of an Azure region ask for, against a stand-in that refuses what Azure refuses."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from images.node import NodeConfig
from images.tree import ROOTFS
from infra import catalog, naming
from infra.azure import logs, names
from infra.azure.network import node_subnet
from infra.azure.sections import AzureDataDisk, AzureRegionName
from sandbox.azure_native import tokens
from sandbox.kinds import CloudError
from tests.support.azure import SUBSCRIPTION
from tests.support.azure_components import STACK, Made

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-{STACK}"


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


def node_json(profile: dict[str, Any]) -> dict[str, Any]:
    document = yaml.safe_load(base64.b64decode(profile["userData"]))
    (text,) = [file["content"] for file in document["write_files"] if file["path"] == "/etc/spillway/node.json"]
    found: dict[str, Any] = json.loads(text)
    return found


def test_everything_lies_in_the_region_s_group_and_carries_the_stack_s_tags(made: Made) -> None:
    for (token, name), resource in made.by_name.items():
        assert resource.id.startswith(GROUP), name
        if "tags" in resource.inputs:
            tags = resource.inputs["tags"]
            assert (tags["spillway-stack"], tags["team"]) == (STACK, "platform")
            assert not [key for key in tags if ":" in key], token


def test_nodes_have_no_public_address_and_one_way_out(made: Made) -> None:
    subnet = made.one(tokens.SUBNET)
    assert subnet["defaultOutboundAccess"] is False
    assert subnet["natGateway"]["id"].endswith("/natGateways/spillway-azure-westus2-nat")
    assert {e["service"] for e in subnet["serviceEndpoints"]} == {"Microsoft.Storage", "Microsoft.KeyVault"}
    for pool in ("spot", "on-demand"):
        (card,) = made.profile(pool)["networkProfile"]["networkInterfaceConfigurations"]
        (address,) = card["ipConfigurations"]
        assert "publicIPAddressConfiguration" not in address
        assert address["loadBalancerBackendAddressPools"][0]["id"].endswith("/backendAddressPools/nodes")


def rules(made: Made, direction: str) -> list[dict[str, Any]]:
    found = [r for r in made.one(tokens.SECURITY_GROUP)["securityRules"] if r["direction"] == direction]
    return sorted(found, key=lambda rule: int(rule["priority"]))


def test_tls_alone_gets_in_and_out_and_nodes_do_not_reach_each_other(made: Made) -> None:
    for direction, allowed in (("Inbound", {"Internet", "AzureLoadBalancer"}), ("Outbound", {"*"})):
        *open_rules, last = rules(made, direction)
        assert {r["sourceAddressPrefix"] for r in open_rules} == allowed
        assert {(r["protocol"], r["destinationPortRange"], r["access"]) for r in open_rules} == {
            ("Tcp", "443", "Allow")
        }
        assert (last["access"], last["protocol"], last["sourceAddressPrefix"]) == ("Deny", "*", "*")
        assert last["priority"] < 65000, "before the rules that every group has"


def test_clients_that_are_named_get_in_with_the_checkers_and_the_balancer_s_probes() -> None:
    made = Made(
        {
            "network.clients": ["203.0.113.0/24", "198.51.100.0/24"],
            "network.checkers": ["cloudflare", "traffic-manager"],
        }
    )
    clients, checkers, tagged, probes, _ = rules(made, "Inbound")
    assert clients["sourceAddressPrefixes"] == ["198.51.100.0/24", "203.0.113.0/24"]
    assert checkers["sourceAddressPrefixes"] == sorted(catalog.checker_networks(made.config.network))
    assert tagged["sourceAddressPrefix"] == "AzureTrafficManager"
    assert probes["sourceAddressPrefix"] == "AzureLoadBalancer"


def test_the_balancer_looks_at_readyz_alone_and_keeps_silent_flows(made: Made) -> None:
    balancer = made.one(tokens.LOAD_BALANCER)
    (probe,), (rule,) = balancer["probes"], balancer["loadBalancingRules"]
    assert (probe["protocol"], probe["port"], probe["requestPath"]) == ("Https", 443, "/readyz")
    assert probe["intervalInSeconds"] * probe["probeThreshold"] <= 10
    assert rule["idleTimeoutInMinutes"] == 100
    assert rule["disableOutboundSnat"] is True
    address = made.one(tokens.PUBLIC_ADDRESS, "balancer-lb")
    assert (address["publicIPAllocationMethod"], address["zones"]) == ("Static", ["1", "2", "3"])
    assert len(made.exported["endpoint"]["addresses"]) == 1


def test_both_pools_begin_empty_and_are_protected(made: Made) -> None:
    for pool in ("spot", "on-demand"):
        inputs = made.one(tokens.SCALE_SET, f"pools-{pool}")
        assert inputs["sku"]["capacity"] == 0
        assert inputs["vmScaleSetName"] == f"spillway-{STACK}-{pool}"
        assert (inputs["orchestrationMode"], inputs["overprovision"]) == ("Uniform", False)
        assert inputs["zones"] == ["3"], "the only one that has the size"
        request = made.requests[tokens.SCALE_SET, f"pools-{pool}"]
        assert not request.ignoreChanges, "what is ignored would be sent as the state has it: 0"
        assert request.protect
        assert request.customTimeouts.delete == "30m"
        assert "virtualMachineProfile.priority" in request.replaceOnChanges
        before = {urn.rsplit("::", 1)[1].removeprefix(f"{STACK}-") for urn in request.dependencies}
        assert before >= {"network-nodes", "identity-models", "identity-secrets", "identity-metrics"}


def test_an_update_sends_back_the_capacity_that_was_found() -> None:
    made = Made(spot_capacity=3)
    assert made.one(tokens.SCALE_SET, "pools-spot")["sku"]["capacity"] == 3
    assert made.one(tokens.SCALE_SET, "pools-on-demand")["sku"]["capacity"] == 0


def test_spot_is_never_evicted_for_its_price_and_leaves_nothing_behind(made: Made) -> None:
    spot, regular = made.profile("spot"), made.profile("on-demand")
    assert (spot["priority"], spot["evictionPolicy"], spot["billingProfile"]) == ("Spot", "Delete", {"maxPrice": -1})
    assert regular["priority"] == "Regular"
    assert not {"evictionPolicy", "billingProfile"} & regular.keys()


def test_a_node_is_replaced_by_livez_alone_after_a_grace_longer_than_a_boot(made: Made) -> None:
    inputs = made.one(tokens.SCALE_SET, "pools-spot")
    assert inputs["automaticRepairsPolicy"] == {"enabled": True, "gracePeriod": "PT30M", "repairAction": "Replace"}
    (health,) = inputs["virtualMachineProfile"]["extensionProfile"]["extensions"]
    assert (health["typeHandlerVersion"], health["settings"]["requestPath"]) == ("1.0", "/livez")
    assert "healthProbe" not in inputs["virtualMachineProfile"]["networkProfile"]


def test_a_grace_that_azure_does_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grace of 300 s: expected whole minutes, 10 to 90"):
        Made({"node.gracePeriodMinutes": 5})


def test_the_node_is_told_where_its_weights_and_secrets_are(made: Made) -> None:
    told = node_json(made.profile("on-demand"))
    config = NodeConfig.model_validate_json(json.dumps(told))
    account, vault = names.storage_account(STACK, SUBSCRIPTION), names.vault(STACK, SUBSCRIPTION)
    assert (config.cloud, config.pool, config.group) == ("azure", "on-demand", f"spillway-{STACK}-on-demand")
    assert config.model.uri == f"az://{account}/models/deepseek-r1-distill-llama-70b/2025-01-20/"
    assert config.model.uri.startswith(made.exported["modelStore"])
    assert config.secrets.certificate == f"https://{vault}.vault.azure.net/secrets/spillway-certificate"
    vault_uri = made.by_name[tokens.VAULT, "identity-secrets"]["properties"]["vaultUri"]
    assert config.secrets.certificate.startswith(vault_uri)
    assert config.hooks is None


def test_nobody_can_log_in(made: Made) -> None:
    linux = made.profile()["osProfile"]["linuxConfiguration"]
    assert linux["disablePasswordAuthentication"] is True
    assert "adminPassword" not in made.profile()["osProfile"]
    (key,) = linux["ssh"]["publicKeys"]
    assert key["path"] == "/home/spillway/.ssh/authorized_keys"


def test_the_key_of_nobody_is_a_key_and_always_the_same() -> None:
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    from infra.azure.node import nobodys_key

    key = nobodys_key()
    nobodys_key.cache_clear()
    assert nobodys_key() == key
    assert type(load_ssh_public_key(key.encode())).__name__ == "Ed25519PublicKey"


def test_the_data_volume_gives_no_more_than_the_machine_takes(made: Made) -> None:
    (disk,) = made.profile()["storageProfile"]["dataDisks"]
    assert disk["managedDisk"] == {"storageAccountType": "PremiumV2_LRS"}
    assert (disk["caching"], disk["diskMBpsReadWrite"], disk["diskIOPSReadWrite"]) == ("None", 500, 16000)
    fast = Made({"storage.data": {"sizeGib": 1000, "iops": 16000, "throughputMbps": 1200}})
    assert fast.profile()["storageProfile"]["dataDisks"][0]["diskMBpsReadWrite"] == 800


def test_outside_of_zones_the_data_volume_is_premium_ssd_by_size() -> None:
    made = Made({"region": "eastus"})  # where nobody has told in which zones the size is
    assert "zones" not in made.one(tokens.SCALE_SET, "pools-spot")
    (disk,) = made.profile()["storageProfile"]["dataDisks"]
    assert disk["managedDisk"] == {"storageAccountType": "Premium_LRS"}
    assert not {"diskMBpsReadWrite", "diskIOPSReadWrite"} & disk.keys()


@given(
    st.sampled_from([machine.name for machine in catalog.machines("azure")]),
    st.integers(32, 65_536),
    st.integers(3000, 80_000),
    st.integers(125, 1200),
)
def test_every_data_volume_is_one_that_azure_sells(machine_type: str, gib: int, iops: int, mbps: int) -> None:
    from infra.azure.disks import performance

    disk = AzureDataDisk.model_validate({"sizeGib": gib, "iops": iops, "throughputMbps": mbps})
    given_iops, given_mbps = performance(machine_type, disk)
    machine = catalog.machine(machine_type)
    assert 3000 <= given_iops <= min(80_000, 3000 + 500 * (gib - 6), max(iops, 3000))
    assert 125 <= given_mbps <= min(1200, given_iops // 4, max(mbps, 125))
    assert given_mbps <= (machine.disk_max_mbps or 1200)


def test_the_model_store_has_no_keys_and_no_public_blobs_and_is_protected(made: Made) -> None:
    account = made.one(tokens.STORAGE_ACCOUNT, "storage-models")
    assert account["allowSharedKeyAccess"] is account["allowBlobPublicAccess"] is False
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert made.one(tokens.BLOB_SERVICE)["isVersioningEnabled"] is True
    assert made.requests[tokens.STORAGE_ACCOUNT, "storage-models"].protect
    assert made.requests[tokens.CONTAINER, "storage-models"].protect
    assert made.requests[tokens.RESOURCE_GROUP, "group"].protect


def test_metrics_are_read_from_networks_that_are_named() -> None:
    rule = next(
        r for r in rules(Made({"network.monitoring": ["10.99.0.0/24"]}), "Inbound") if r["name"] == "monitoring"
    )
    assert (rule["sourceAddressPrefixes"], rule["destinationPortRange"]) == (["10.99.0.0/24"], "9443")
    assert (rule["protocol"], rule["access"]) == ("Tcp", "Allow")


def test_logs_arrive_in_a_table_by_a_rule_that_the_node_is_told_of(made: Made) -> None:
    told = node_json(made.profile())["logs"]
    endpoint = made.by_name[tokens.COLLECTION_ENDPOINT, "logs-nodes"]
    assert told == {
        "endpoint": endpoint["logsIngestion"]["endpoint"],
        "rule": made.by_name[tokens.COLLECTION_RULE, "logs-nodes"]["immutableId"],
        "table": made.one(tokens.TABLE)["tableName"],
        "identity": made.by_name[tokens.IDENTITY, "identity-node"]["clientId"],
    }
    (flow,) = made.one(tokens.COLLECTION_RULE)["dataFlows"]
    assert flow["streams"] == [f"Custom-{told['table']}"], "where Fluent Bit sends to"
    assert (made.one(tokens.TABLE)["retentionInDays"], made.one(tokens.TABLE)["totalRetentionInDays"]) == (30, 30)


def test_every_field_that_leaves_a_node_has_a_column() -> None:
    script = (ROOTFS / "etc" / "fluent-bit" / "redact.lua").read_text()
    origin = set(re.findall(r"(\w+) = (?:os\.getenv|record\b)", script[script.index("local function origin") :][:400]))
    listed = script[script.index("local ACCESS") : script.index("local METHODS")]
    listed += script[script.index("local PROGRAM") :].partition("\n")[0]
    fields = origin | set(re.findall(r"(\w+) = 1", listed)) | set(re.findall(r"\bout\.(\w+)", script))
    assert fields <= set(logs.stream_columns()), fields - set(logs.stream_columns())
    assert {"kind", "stack", "status", "requestId"} <= set(logs.table_columns())


def test_logs_stay_on_the_nodes_where_the_stack_file_says_so() -> None:
    made = Made({"logs.ship": False})
    assert node_json(made.profile())["logs"] is None
    assert not [t for t, _ in made.by_name if t in (tokens.TABLE, tokens.COLLECTION_RULE, tokens.COLLECTION_ENDPOINT)]
    assert (tokens.ROLE_ASSIGNMENT, "identity-logs") not in made.by_name


def test_a_node_has_four_rights_and_reads_its_own_model_only(made: Made) -> None:
    nodes = made.by_name[tokens.IDENTITY, "identity-node"]["principalId"]
    assigned = {n: r.inputs for (t, n), r in made.by_name.items() if t == tokens.ROLE_ASSIGNMENT}
    found = {n: r for n, r in assigned.items() if r["principalId"] == nodes}
    assert set(found) == {"identity-models", "identity-secrets", "identity-metrics", "identity-logs"}
    models = found["identity-models"]
    assert models["scope"].endswith("/containers/models")
    assert "StringStartsWith 'deepseek-r1-distill-llama-70b/2025-01-20/'" in models["condition"]
    assert models["conditionVersion"] == "2.0"
    assert found["identity-secrets"]["scope"] == made.by_name[tokens.VAULT, "identity-secrets"].id
    assert found["identity-metrics"]["scope"] == GROUP
    assert found["identity-logs"]["scope"] == made.by_name[tokens.COLLECTION_RULE, "logs-nodes"].id
    assert {r["principalType"] for r in found.values()} == {"ServicePrincipal"}
    assert len({r["roleAssignmentName"] for r in found.values()}) == 4


def test_the_vault_can_be_deleted_for_good_and_takes_rights_from_roles(made: Made) -> None:
    properties = made.one(tokens.VAULT)["properties"]
    assert "enablePurgeProtection" not in properties
    assert properties["softDeleteRetentionInDays"] == 7
    assert properties["enableRbacAuthorization"] is True


def test_a_gap_that_stays_and_a_budget_are_told_to_people(made: Made) -> None:
    alert = made.one(tokens.METRIC_ALERT, "events-gap")
    (criterion,) = alert["criteria"]["allOf"]
    assert (criterion["metricNamespace"], criterion["metricName"]) == ("Spillway", "FallbackGap")
    assert criterion["skipMetricValidation"] is True
    assert alert["scopes"] == [made.by_name[tokens.SCALE_SET, "pools-on-demand"].id]
    budget = made.one(tokens.BUDGET)
    assert (budget["amount"], budget["scope"]) == (60000, GROUP)
    told = sorted((n["threshold"], n["thresholdType"]) for n in budget["notifications"].values())
    assert told == [(80, "Actual"), (100, "Actual"), (100, "Forecasted")]
    assert "timePeriod" in made.requests[tokens.BUDGET, "events-budget"].ignoreChanges


def test_a_region_can_be_made_again_once_its_vault_is_purged() -> None:
    made = Made()
    vault = made.one(tokens.VAULT)
    made.cloud.delete(made.by_name[tokens.VAULT, "identity-secrets"])
    with pytest.raises(CloudError, match=rf"az keyvault purge --name {vault['vaultName']}"):
        made.cloud.create(tokens.VAULT, **vault)


STACKS = st.from_regex(TypeAdapter(AzureRegionName).json_schema()["pattern"], fullmatch=True).map("azure-{}".format)
SUBSCRIPTIONS = st.uuids().map(str)


@given(STACKS, SUBSCRIPTIONS)
def test_names_are_what_azure_takes_for_every_region(stack: str, subscription: str) -> None:
    assert re.fullmatch(r"[a-z0-9]{3,24}", names.storage_account(stack, subscription))
    assert re.fullmatch(r"[a-z](?!.*--)[a-z0-9-]{1,22}[a-z0-9]", names.vault(stack, subscription))
    assert len(names.resource_group(stack)) <= 90
    for pool in naming.POOLS:
        assert len(names.scale_set(stack, pool)) <= 64


@given(STACKS, STACKS, SUBSCRIPTIONS)
def test_two_stacks_share_no_global_name(one: str, other: str, subscription: str) -> None:
    if one != other:
        assert names.storage_account(one, subscription) != names.storage_account(other, subscription)
        assert names.vault(one, subscription) != names.vault(other, subscription)


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"spillway-stack": "x"}, "are reserved"),
        ({"Microsoft.x": "x"}, "are reserved"),
        ({"a/b": "x"}, "without <>%"),
        ({"a": "x" * 257}, "up to 256"),
        ({"Team": "x", "team": "y"}, "case-insensitive"),
        ({f"t{i}": "x" for i in range(48)}, "the limit is 50"),
    ],
)
def test_tags_that_azure_refuses_are_refused_before(extra: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        names.tags(STACK, "pools", extra)


def test_nodes_get_half_of_the_network() -> None:
    assert node_subnet("10.40.0.0/16") == "10.40.0.0/17"
