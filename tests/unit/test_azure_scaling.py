"""The fallback function of an Azure region: what it may do, what it is told, and where it keeps things."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from infra.azure.scaling import ACTIONS, DATA_ACTIONS
from infra.function.settings import AzureSettings
from sandbox.azure_native import tokens
from sandbox.kinds import CloudError
from tests.support.azure import SUBSCRIPTION
from tests.support.azure_components import STACK, Made, region

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-{STACK}"
FALLBACK = "scaling-fallback"


@pytest.fixture(scope="module")
def made() -> Made:
    return Made(package=b"the archive")


def environment(made: Made) -> dict[str, str]:
    return {one["name"]: one["value"] for one in made.one(tokens.WEB_APP)["siteConfig"]["appSettings"]}


def test_the_function_reads_its_settings_as_the_stack_writes_them(made: Made) -> None:
    settings = AzureSettings.read(environment(made))
    identity = made.by_name[tokens.IDENTITY, FALLBACK]
    assert (settings.stack, settings.target, settings.floor, settings.max) == (STACK, 2, 0, 6)
    assert (settings.subscription, settings.resource_group) == (SUBSCRIPTION, f"spillway-{STACK}")
    assert (settings.location, settings.identity) == ("westus2", identity["clientId"])
    sets = {made.by_name[tokens.SCALE_SET, f"pools-{pool}"]["name"] for pool in ("spot", "on-demand")}
    assert {settings.spot_group, settings.on_demand_group} == sets
    assert settings.dry_run is False
    account = made.one(tokens.STORAGE_ACCOUNT, FALLBACK)["accountName"]
    assert settings.state == f"https://{account}.blob.core.windows.net/state/fallback.json"
    assert settings.state.split("/")[3] == made.one(tokens.CONTAINER, "scaling-state")["containerName"]


def test_the_stack_file_s_numbers_and_its_dry_run_reach_the_function() -> None:
    changed = {"pools.target": 4, "pools.floor": 1, "fallback": {"outMinutes": 3, "dryRun": True}}
    settings = AzureSettings.read(environment(Made({**changed, "scaling": {"signal": "cpu", "cpuPercent": 70}})))
    assert (settings.target, settings.floor, settings.fallback_out_minutes, settings.dry_run) == (4, 1, 3, True)
    assert (settings.scaling_signal, settings.scaling_cpu_percent) == ("cpu", 70)


def test_the_function_may_size_the_two_pools_and_nothing_else_of_the_region(made: Made) -> None:
    function = made.by_name[tokens.IDENTITY, FALLBACK]["principalId"]
    role = made.one(tokens.ROLE_DEFINITION)
    found = {
        n: r.inputs
        for (t, n), r in made.by_name.items()
        if t == tokens.ROLE_ASSIGNMENT and r["principalId"] == function
    }
    sized = {n: r for n, r in found.items() if r["roleDefinitionId"].endswith(role["roleDefinitionId"])}
    assert {r["scope"] for r in sized.values()} == {
        made.by_name[tokens.SCALE_SET, f"pools-{pool}"].id for pool in ("spot", "on-demand")
    }
    rest = {r["scope"] for n, r in found.items() if n not in sized}
    assert rest == {
        made.by_name[tokens.STORAGE_ACCOUNT, FALLBACK].id,
        made.by_name[tokens.COMPONENT, "scaling-log"].id,
    }
    (permission,) = role["permissions"]
    assert (permission["actions"], permission["dataActions"]) == (list(ACTIONS), list(DATA_ACTIONS))
    assert not [action for action in ACTIONS if "*" in action or action.startswith("Microsoft.Network")]
    assert role["assignableScopes"] == [GROUP]


def test_a_role_s_name_is_the_subscription_s_own() -> None:
    """The directory has one role of a name, and the same stack may stand in two of its subscriptions."""
    other = "11111111-1111-4111-8111-111111111111"
    names = {Made({"account": account}).one(tokens.ROLE_DEFINITION)["roleName"] for account in (SUBSCRIPTION, other)}
    assert len(names) == 2


def test_the_app_is_flex_consumption_with_an_identity_instead_of_keys(made: Made) -> None:
    plan, app = made.one(tokens.PLAN), made.one(tokens.WEB_APP)
    assert (plan["sku"]["name"], plan["reserved"]) == ("FC1", True)
    assert (app["kind"], app["httpsOnly"], app["siteConfig"]["minTlsVersion"]) == ("functionapp,linux", True, "1.2")
    config = app["functionAppConfig"]
    assert config["runtime"] == {"name": "python", "version": "3.12"}
    storage = config["deployment"]["storage"]
    assert storage["authentication"]["type"] == "UserAssignedIdentity"
    assert storage["authentication"]["userAssignedIdentityResourceId"] == made.by_name[tokens.IDENTITY, FALLBACK].id
    for kind in (tokens.SCM_ALLOWED, tokens.FTP_ALLOWED):
        assert made.one(kind)["allow"] is False, "nobody publishes with a password"


def test_nothing_that_opens_anything_is_among_the_settings(made: Made) -> None:
    account = made.one(tokens.STORAGE_ACCOUNT, FALLBACK)
    assert account["allowSharedKeyAccess"] is account["allowBlobPublicAccess"] is False
    told = environment(made)
    assert told["AzureWebJobsStorage__credential"] == "managedidentity"
    assert not [value for value in told.values() if "AccountKey" in value or "SharedAccess" in value]
    # The connection string names the log; with local authentication off it lets nobody in.
    assert made.one(tokens.COMPONENT)["disableLocalAuth"] is True
    assert told["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"].endswith(";Authorization=AAD")


def test_the_package_is_known_by_its_digest_and_waits_for_rights_and_containers(made: Made) -> None:
    assert made.one(tokens.WEB_APP)["tags"]["spillway-package"] == hashlib.sha256(b"the archive").hexdigest()
    request = made.requests[tokens.WEB_APP, FALLBACK]
    before = {urn.rsplit("::", 1)[1].removeprefix(f"{STACK}-") for urn in request.dependencies}
    assert before >= {
        "scaling-spot", "scaling-on-demand", "scaling-storage", "scaling-log", "scaling-deployments", "scaling-state",
    }  # fmt: skip


def test_runs_that_fail_are_told_to_people(made: Made) -> None:
    alert = made.one(tokens.METRIC_ALERT, "scaling-failing")
    assert alert["scopes"] == [made.by_name[tokens.COMPONENT, "scaling-log"].id]
    assert alert["criteria"]["allOf"][0]["metricName"] == "requests/failed"
    assert alert["actions"] == [{"actionGroupId": made.by_name[tokens.ACTION_GROUP, "events-people"].id}]


def test_a_region_with_zones_keeps_the_function_s_state_in_three_of_them(made: Made) -> None:
    assert made.one(tokens.STORAGE_ACCOUNT, FALLBACK)["sku"]["name"] == "Standard_ZRS"
    unzoned = Made({"region": "westus", "pools.types": ["Standard_NC96ads_A100_v4"]})
    assert unzoned.one(tokens.STORAGE_ACCOUNT, FALLBACK)["sku"]["name"] == "Standard_LRS"


def test_a_region_says_what_other_clouds_regions_say(made: Made) -> None:
    told: dict[str, Any] = json.loads(json.dumps(made.exported))
    assert set(told) == {"endpoint", "pools", "image", "modelStore"}
    assert set(told["endpoint"]) == {
        "hostname", "addresses", "port", "healthPath", "cloud", "region", "nearestAwsRegion", "residency",
    }  # fmt: skip
    assert told["endpoint"]["nearestAwsRegion"] == "us-west-2"
    assert told["pools"]["spot"] == {
        "name": f"spillway-{STACK}-spot",
        "types": ["Standard_ND96asr_v4"],
        "size": 2,
    }
    assert told["pools"]["onDemand"]["types"] == ["Standard_ND96asr_v4"]
    assert told["pools"]["capacityBlocks"] == []
    assert told["image"]["family"] == "spillway-vllm"


def test_a_policy_of_an_app_that_is_not_there_is_refused(made: Made) -> None:
    with pytest.raises(CloudError, match=r"Microsoft\.Web/sites/elsewhere"):
        made.cloud.create(tokens.SCM_ALLOWED, resourceGroupName=f"spillway-{STACK}", name="elsewhere", allow=False)


def test_every_region_of_azure_can_be_built() -> None:
    """A region that no file names is a stack file with other names."""
    for name in ("swedencentral", "westus"):
        made = Made({"region": name, "pools.types": ["Standard_NC96ads_A100_v4"], "model.tensorParallel": 4})
        assert made.exported["endpoint"]["region"] == name == region({"region": name}).region
