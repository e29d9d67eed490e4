"""A region's preflight on Azure, through the SDKs' own operations and models, over a network that ends in a fake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from requests.exceptions import ConnectionError as NoConnection

from infra.azure import names
from spillway.preflight.azure_region import answers
from spillway.preflight.clouds import preflight_of
from spillway.preflight.model import Unreachable
from tests.unit.function.wire import Answer, Call
from tests.unit.preflight.fake_account import states
from tests.unit.preflight.fake_azure import (
    ACCOUNT,
    ACCOUNTS,
    ADDRESSES,
    APP_NAME,
    ARM,
    DELETED,
    FAMILY,
    FLEX,
    GROUP,
    IMAGE,
    MANIFEST,
    NETWORK_USAGES,
    NETWORKS,
    OWN,
    PERMISSIONS,
    PROVIDERS,
    SCALE_SETS,
    SCORES,
    SIZE,
    SKUS,
    STACK,
    STORAGE_NAME,
    SUBSCRIPTION,
    USAGES,
    VAULT,
    VAULT_NAME,
    VERSION,
    AzureSubscription,
    closed,
    config,
    definition,
    denied,
    network_usage,
    scale_set,
    sku,
    thing,
    usage,
    version,
)

ON_DEMAND = "quota.on-demand.StandardNDASv4_A100Family"
ZONES = {"network.zones": ["1", "3"], "storage.data": {"sizeGib": 1000, "iops": 16000, "throughputMbps": 500}}


@pytest.fixture
def azure() -> AzureSubscription:
    return AzureSubscription()


def test_a_subscription_with_room_and_rights_is_ready_before_the_first_up(azure: AzureSubscription) -> None:
    found = azure.rows()
    assert states(found) == {}
    assert set(states(found, "note")) == {"weights", "certificate", "api-keys", "placement"}
    assert found["identity"].found == f"{SUBSCRIPTION}, Example: Enabled"
    assert found[ON_DEMAND].needed == f"576 vCPUs: 6 x {SIZE} (96)"
    assert found["placement"].found == f"{SIZE} Medium"
    assert {call.method for call in azure.wire.calls} == {"GET", "POST"}
    assert not any("vault.azure.net" in call.host for call in azure.wire.calls), "no vault, no question"


def test_names_are_asked_for_as_the_program_makes_them(azure: AzureSubscription) -> None:
    azure.rows()
    storage = [call.json for call in azure.wire.sent("POST", STORAGE_NAME)]
    own = names.function_storage(STACK, SUBSCRIPTION)
    assert storage == [{"name": name, "type": "Microsoft.Storage/storageAccounts"} for name in (ACCOUNT, own)]
    posted = {call.path: call.json for call in azure.wire.calls if call.method == "POST"}
    app = names.function_app(STACK, SUBSCRIPTION)
    assert posted[APP_NAME] == {"name": app, "type": "Microsoft.Web/sites"}
    assert posted[VAULT_NAME] == {"name": VAULT, "type": "Microsoft.KeyVault/vaults"}
    assert posted[SCORES] == {
        "desiredLocations": ["eastus"], "desiredSizes": [{"sku": SIZE}], "desiredCount": 2, "availabilityZones": False,
    }  # fmt: skip


def test_a_subscription_that_takes_no_changes_is_all_that_is_told(azure: AzureSubscription) -> None:
    azure.answers[ARM] = {"subscriptionId": SUBSCRIPTION, "displayName": "Example", "state": "Disabled"}
    assert states(azure.rows()) == {"identity": "failure"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(404, {"error": {"code": "SubscriptionNotFound"}}), "is not seen by these credentials"),
        (denied(), "denied: GET /subscriptions/"),
        (Answer(401, {"error": {"code": "ExpiredAuthenticationToken", "message": "expired"}}), "log in: `az login`"),
    ],
)
def test_without_the_subscription_nothing_can_be_asked(azure: AzureSubscription, answer: Answer, told: str) -> None:
    azure.answers[ARM] = answer
    with pytest.raises(Unreachable) as error:
        azure.rows()
    assert told in str(error.value)
    assert len(error.value.lines) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (NoConnection("Name or service not known"), "Azure is out of reach: "),
        (ClientAuthenticationError("DefaultAzureCredential failed.\nAttempted:\n..."), "DefaultAzureCredential failed"),
    ],
)
def test_no_network_and_no_login_are_one_line_each(azure: AzureSubscription, fault: Exception, told: str) -> None:
    def fails(_: Any) -> None:
        raise fault

    azure.wire.faults.append(fails)
    with pytest.raises(Unreachable, match=told):
        azure.rows()


# Rights and resource providers


@pytest.mark.parametrize(
    ("actions", "without", "missing"),
    [
        (["*"], [], 0),
        (["*"], ["Microsoft.Authorization/*/Write", "Microsoft.Authorization/*/Delete"], 2),
        (["*/read"], [], 10),
        (["microsoft.authorization/roleassignments/WRITE"], [], 9),
    ],
)
def test_rights_are_those_of_the_callers_roles(
    azure: AzureSubscription, actions: list[str], without: list[str], missing: int
) -> None:
    azure.answers[PERMISSIONS] = {"value": [{"actions": actions, "notActions": without}]}
    row = azure.rows()["rights"]
    assert row.found.count("Microsoft.") == missing
    assert row.state == ("warning" if missing else "ok")
    if missing == 2:
        assert row.action.startswith("besides Contributor, User Access Administrator")


def test_one_role_gives_what_another_one_leaves_out() -> None:
    contributor = {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"]}
    assert not answers.allows(contributor, "Microsoft.Authorization/roleAssignments/write")
    assert answers.allows(contributor, "Microsoft.Web/sites/write")
    assert not answers.allows({"actions": ["Microsoft.Web/sites"]}, "Microsoft.Web/sites/write")


def test_a_provider_that_is_not_registered_comes_with_its_command(azure: AzureSubscription) -> None:
    listed = azure.answers[PROVIDERS]["value"]
    listed[0]["registrationState"] = "NotRegistered"
    listed[1]["registrationState"] = "Registering"
    azure.answers[PROVIDERS] = {"value": listed[:-1]}
    row = azure.rows()["providers"]
    assert row.state == "warning"
    assert row.commands == (
        "az provider register --namespace Microsoft.Compute", "az provider register --namespace Microsoft.Web",
    )  # fmt: skip


# Sizes


def test_a_size_that_the_region_has_not_fails_for_each_pool(azure: AzureSubscription) -> None:
    azure.answers[SKUS] = {"value": [sku("Standard_D2s_v5")]}
    found = azure.rows()
    assert states(found, "failure") == {"offerings.spot": "failure", "offerings.on-demand": "failure"}
    assert found["offerings.spot"].found == f"{SIZE}: not offered in eastus"
    (call,) = azure.wire.sent("GET", "/skus")
    assert call.query["$filter"] == "location eq 'eastus'"


def test_a_size_that_is_closed_to_the_subscription_says_where_to_ask(azure: AzureSubscription) -> None:
    azure.answers[SKUS] = {"value": [sku(SIZE, (), closed())]}
    row = azure.rows()["offerings.spot"]
    assert row.found == f"{SIZE}: closed to this subscription (NotAvailableForSubscription)"
    assert row.action.endswith("https://aka.ms/AzureSupportRequest")


def test_zones_of_the_file_without_the_size_refuse_the_scale_set(azure: AzureSubscription) -> None:
    azure.answers[SKUS] = {"value": [sku(SIZE, ("1", "2", "3"), closed(("3",)))]}
    row = azure.rows(ZONES)[f"offerings.{SIZE}"]
    assert (row.state, row.found) == ("failure", "in zones 1; closed to this subscription in 3")
    azure.answers[SKUS] = {"value": [sku(SIZE, ("2",))]}
    assert states(azure.rows(ZONES), "failure").keys() == {
        "offerings.spot", "offerings.on-demand", f"offerings.{SIZE}",
    }  # fmt: skip
    azure.answers[SKUS] = {"value": [sku(SIZE, ("1", "3"))]}
    assert azure.rows(ZONES)[f"offerings.{SIZE}"].state == "ok"


def test_a_region_with_zones_for_the_size_is_a_note_where_the_file_names_none(azure: AzureSubscription) -> None:
    azure.answers[SKUS] = {"value": [sku(SIZE, ("2", "1"))]}
    row = azure.rows()[f"offerings.{SIZE}"]
    assert (row.state, "network.zones: [1, 2]" in row.action) == ("note", True)


# Quotas


def test_too_few_vcpus_of_the_family_name_the_quota_and_how_to_ask_for_more(azure: AzureSubscription) -> None:
    azure.answers[USAGES] = {"value": [
        usage("cores", 5000), usage(FAMILY, 288, 96), usage("lowPriorityCores", 96, 96)]}  # fmt: skip
    found = azure.rows()
    row = found[ON_DEMAND]
    assert (row.state, row.found) == ("failure", "288 vCPUs, 96 used by others")
    assert row.action == "the fallback is sure of 2 of 6 replicas on-demand when spot is gone"
    assert row.request is not None
    assert row.request.command() == (
        f"az quota update --resource-name '{FAMILY}' --scope {ARM}/providers/Microsoft.Compute/locations/eastus "
        "--limit-object value=672 limit-object-type=LimitValue --resource-type dedicated"
    )
    spot = found["quota.spot.lowPriorityCores"]
    assert (spot.state, spot.action) == ("failure", "the spot pool gets 0 of the 2 wanted, on-demand pays for the rest")
    assert spot.request is not None
    assert spot.request.command().endswith("--resource-type lowPriority")


def test_what_the_stack_has_itself_is_not_counted_twice(azure: AzureSubscription) -> None:
    azure.answers[SCALE_SETS] = {"value": [
        scale_set(2, spot=True, tags=OWN), scale_set(1, spot=False, tags=OWN), scale_set(1, spot=False)]}  # fmt: skip
    azure.answers[USAGES] = {"value": [
        usage("cores", 700, 200), usage(FAMILY, 672, 192), usage("lowPriorityCores", 576, 192)]}  # fmt: skip
    found = azure.rows()
    assert states(found) == {}
    assert found[ON_DEMAND].found == "672 vCPUs, 96 used by others"
    assert found["quota.spot.lowPriorityCores"].found == "576 vCPUs"


def test_the_regions_own_limit_may_be_the_one_that_is_short(azure: AzureSubscription) -> None:
    azure.answers[USAGES] = {"value": [
        usage("cores", 350), usage(FAMILY, 576), usage("lowPriorityCores", 576)]}  # fmt: skip
    found = azure.rows()
    assert states(found) == {"quota.on-demand.cores": "failure"}
    assert found["quota.on-demand.cores"].check == "on-demand vCPUs of the region"


def test_a_family_that_the_region_does_not_list_stays_open(azure: AzureSubscription) -> None:
    azure.answers[USAGES] = {"value": [usage("cores", 5000), usage("lowPriorityCores", 576)]}
    row = azure.rows()[f"quota.on-demand.{SIZE}"]
    assert (row.state, row.found) == ("unknown", "the region lists no quota standardNDASv4_A100Family")


def test_addresses_and_networks_are_counted_against_the_region(azure: AzureSubscription) -> None:
    azure.answers[NETWORK_USAGES] = {"value": [
        network_usage("PublicIPAddresses", 1000, 4), network_usage("StandardSkuPublicIpAddresses", 4, 4),
        network_usage("VirtualNetworks", 50, 50)]}  # fmt: skip
    azure.answers[ADDRESSES] = {"value": [thing("a", OWN), thing("b", OWN), thing("c", OWN, "westus")]}
    azure.answers[NETWORKS] = {"value": [thing("n")]}
    found = azure.rows()
    assert (found["addresses"].state, found["addresses"].found) == (
        "ok", "2 used by others, 2 by this stack, quota 4",
    )  # fmt: skip
    assert (found["networks"].state, found["networks"].action) == ("failure", "1 too few")


# The image


@pytest.mark.parametrize(
    ("answers", "id", "told"),
    [
        ({IMAGE: Answer(404, {"error": {"code": "ResourceNotFound"}})}, "image", "no such image definition"),
        ({VERSION: Answer(404, {"error": {"code": "ResourceNotFound"}})}, "image", "no such version"),
        ({VERSION: version(regions=("West US", "westeurope"))}, "image", "in westeurope, westus"),
        ({VERSION: version(size=300)}, "image.size", "OS disk of 300 GiB"),
        ({VERSION: version(state="Failed")}, "image.state", "Failed"),
        ({VERSION: version(replica="Failed")}, "image.replica", "replication here: Failed"),
        ({IMAGE: definition(hyperVGeneration="V1")}, "image.generation", "V1"),
        ({IMAGE: definition(osState="Specialized")}, "image.os-state", "Specialized"),
        ({IMAGE: definition(architecture="Arm64")}, "image.architecture", "Arm64"),
    ],
)
def test_an_image_that_no_node_boots_from_fails(
    azure: AzureSubscription, answers: dict[str, Any], id: str, told: str
) -> None:
    azure.answers |= answers
    found = azure.rows()
    assert states(found, "failure") == {id: "failure"}
    assert found[id].found == told


def test_an_image_on_its_way_or_of_age_is_a_warning(azure: AzureSubscription) -> None:
    azure.answers[VERSION] = version(
        replica="Replicating", published="2026-08-01T00:00:00Z", end="2026-12-01T00:00:00Z"
    )
    found = azure.rows()
    assert states(found) == {"image.replica": "warning", "image.age": "warning", "image.end": "warning"}
    assert states(azure.rows(image_age=365)).keys() == {"image.replica", "image.end"}


def test_the_newest_is_the_newest_that_is_replicated_and_not_excluded(azure: AzureSubscription) -> None:
    azure.answers[f"{IMAGE}/versions"] = {"value": [
        version("2026.9.9"), version("2026.10.2"), version("2026.11.1", ("West US",)), version("2026.12.1",
        excluded=True)]}  # fmt: skip
    row = azure.rows({"image": {"family": "spillway-vllm", "newest": True}})["image"]
    assert (row.state, row.found.split(",")[0]) == ("ok", "2026.10.2")


def test_an_image_of_another_subscription_is_asked_for_there(azure: AzureSubscription) -> None:
    other = VERSION.replace(SUBSCRIPTION, "11111111-1111-4111-8111-111111111111")
    azure.answers[other] = version()
    assert azure.rows({"image": {"id": other}})["image"].state == "ok"
    azure.answers[other] = denied()
    row = azure.rows({"image": {"id": other}})["image"]
    assert (row.state, row.found) == ("unknown", "denied: Microsoft.Compute/galleries/images/versions/read")


# Names


def test_names_that_somebody_else_has_fail(azure: AzureSubscription) -> None:
    azure.answers |= {
        GROUP: thing("spillway-azure-eastus"),
        STORAGE_NAME: {"nameAvailable": False, "reason": "AlreadyExists", "message": "is already\ntaken."},
        VAULT_NAME: {"nameAvailable": False, "reason": "AlreadyExists"},
        APP_NAME: {"nameAvailable": False, "reason": "AlreadyExists"},
    }
    found = azure.rows()
    assert states(found, "failure").keys() == {"group", "vault", "bucket", "bucket.function", "app"}
    assert found["bucket"].found == f"{ACCOUNT}: is already taken."
    assert found["group"].found == "spillway-azure-eastus: yours already, without this stack's tag"


def test_a_deleted_vault_keeps_its_name(azure: AzureSubscription) -> None:
    left = {"name": VAULT.upper(), "properties": {"location": "West US", "scheduledPurgeDate": "2026-12-01T00:00:00Z"}}
    azure.answers[DELETED] = {"value": [left]}
    row = azure.rows()["vault"]
    assert (row.state, row.found) == ("failure", f"{VAULT}: deleted, keeps its name until 2026-12-01")
    assert row.commands == (f"az keyvault purge --name {VAULT} --location westus",)


def test_an_account_without_the_stacks_tag_is_not_the_stacks(azure: AzureSubscription) -> None:
    azure.answers[ACCOUNTS] = {"value": [thing(ACCOUNT, {"spillway-stack": "azure-westus"})]}
    assert azure.rows()["bucket"].found == f"{ACCOUNT}: yours already, of stack azure-westus"


def test_a_region_without_flex_consumption_has_no_fallback(azure: AzureSubscription) -> None:
    azure.answers[FLEX] = {"value": [{"name": "West Europe"}]}
    assert states(azure.rows()) == {"flex": "failure"}
    (call,) = azure.wire.sent("GET", "/geoRegions")
    assert call.query["sku"] == "FlexConsumption"
    azure.answers[FLEX] = {"value": []}
    assert states(azure.rows()) == {"flex": "unknown"}


# Secrets and weights


def test_a_deployed_region_misses_only_its_contents(azure: AzureSubscription) -> None:
    azure.deploy()
    found = azure.rows()
    assert states(found) == {"weights": "warning", "certificate": "warning", "api-keys": "warning"}
    assert found["certificate"].commands == (
        "spillway secrets push --certificate fullchain.pem --key privkey.pem --stack azure-eastus",
    )
    azure.blobs.add(MANIFEST)
    azure.secrets = {"spillway-api-keys": json.dumps([{"name": "a", "hash": "x"}]), "spillway-certificate": "no PEM"}
    found = azure.rows()
    assert states(found) == {"certificate.parse": "failure"}
    assert found["weights"].found == f"az://{ACCOUNT}{MANIFEST}"


def test_secrets_that_may_not_be_read_are_notes(azure: AzureSubscription) -> None:
    azure.deploy()
    azure.blobs.add(MANIFEST)
    refused = Answer(403, {"error": {"code": "Forbidden", "message": "Caller is not authorized"}})
    azure.secrets = {"spillway-api-keys": refused, "spillway-certificate": refused}
    found = azure.rows()
    assert states(found) == {}
    assert found["api-keys"].found.startswith("spillway-api-keys: has a value; not looked into (denied: ")


# Questions that stay open


def test_one_answer_that_does_not_come_back_is_one_open_row(azure: AzureSubscription) -> None:
    def fails(call: Call) -> None:
        if call.path == SKUS:
            raise NoConnection("connection reset")

    azure.wire.faults.append(fails)
    assert states(azure.rows()) == {"offerings": "unknown"}


@pytest.mark.parametrize(
    ("path", "open_rows"),
    [
        (PERMISSIONS, {"rights"}),
        (PROVIDERS, {"providers"}),
        (SKUS, {"offerings"}),
        (USAGES, {"quota.on-demand", "quota.spot"}),
        (NETWORK_USAGES, {"addresses", "networks"}),
        (VERSION, {"image"}),
        (GROUP, {"group"}),
        (ACCOUNTS, {"bucket", "weights"}),
        (DELETED, {"vault"}),
        (SCORES, {"placement"}),
    ],
)
@pytest.mark.parametrize("answer", [denied(), Answer(429, {"error": {"code": "TooManyRequests"}}), Answer(200, b"<p>")])
def test_what_is_denied_throttled_or_no_answer_at_all_is_a_row_that_says_so(
    azure: AzureSubscription, path: str, open_rows: set[str], answer: Answer
) -> None:
    azure.answers[path] = answer
    found = azure.rows()
    assert states(found) == dict.fromkeys(open_rows, "unknown")


def test_scores_are_asked_for_once_and_name_the_role_that_they_need(azure: AzureSubscription) -> None:
    azure.answers[SCORES] = denied()
    row = azure.rows()["placement"]
    assert row.action.endswith("(role Compute Recommendations Role) to whoever runs preflight")
    azure.answers[SCORES] = Answer(429, {}, {"Retry-After": "600"})
    azure.wire.calls.clear()
    assert azure.rows()["placement"].state == "unknown"
    assert len(azure.wire.sent("POST", "/generate")) == 1


def test_a_low_score_is_a_warning_where_another_stacks_region_has_more(azure: AzureSubscription) -> None:
    def score(region: str, value: str) -> dict[str, Any]:
        return {"sku": SIZE, "region": region, "score": value, "isQuotaAvailable": True}

    azure.answers[SCORES] = {"placementScores": [score("eastus", "Low"), score("westus2", "High")]}
    row = azure.rows(regions=("eastus", "westus2"))["placement"]
    assert (row.state, row.action.endswith(f"; elsewhere: westus2 {SIZE} High")) == ("warning", True)
    azure.answers[SCORES] = {"placementScores": [score("eastus", "Low")]}
    assert azure.rows()["placement"].state == "note"


def test_a_cloud_is_asked_by_its_own_module() -> None:
    assert preflight_of(config()).__name__ == "spillway.preflight.azure_region.region"  # type: ignore[attr-defined]
