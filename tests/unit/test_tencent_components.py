"""What a Tencent Cloud region asks of the cloud, and that a strict one takes it: made, changed, deleted."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from infra.faults import NotFound
from infra.tencent.lookups import MachineImage, check_image, image_query
from infra.tencent.network import PROBE_PORT, carve
from infra.tencent.pools import periods
from infra.tencent.sections import TencentImage, TencentRootDisk
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import app_id
from tests.support.tencent import ACCOUNT, IMAGE
from tests.support.tencent_stack import Deployment


def deployed(**changes: Any) -> Deployment:
    """A region with changes by key, `__` for a dot."""
    deployment = Deployment()
    deployment.up({key.replace("__", "."): value for key, value in changes.items()})
    return deployment


@pytest.fixture(scope="module")
def region() -> Deployment:
    return deployed()


def node_json(deployment: Deployment) -> dict[str, Any]:
    text = base64.b64decode(deployment.one(tokens.CONFIGURATION)["userData"]).decode()
    files = {file["path"]: file for file in yaml.safe_load(text)["write_files"]}
    found: dict[str, Any] = json.loads(files["/etc/spillway/node.json"]["content"])
    return found


def test_a_region_comes_up_stays_as_it_is_and_leaves_nothing() -> None:
    deployment = deployed()
    before = {key: resource.outputs for key, resource in deployment.made.items()}
    deployment.up()
    assert {key: resource.outputs for key, resource in deployment.made.items()} == before
    deployment.destroy()
    assert deployment.cloud.state.resources == {}


def test_metrics_are_read_from_networks_that_are_named(region: Deployment) -> None:
    asked = deployed(network__monitoring=["10.99.0.0/24"]).one(tokens.RULE_SET)["ingresses"]
    (rule,) = [rule for rule in asked if rule["port"] == "9443"]
    assert (rule["action"], rule["cidrBlock"], rule["protocol"]) == ("ACCEPT", "10.99.0.0/24", "TCP")
    assert asked.index(rule) < len(asked) - 1, "before the rule that drops the rest"
    assert len(asked) == len(region.one(tokens.RULE_SET)["ingresses"]) + 1


def test_the_outputs_have_the_keys_of_every_other_cloud_and_no_spot(region: Deployment) -> None:
    endpoint, pools = region.outputs["endpoint"], region.outputs["pools"]
    assert set(endpoint) == {
        "hostname", "addresses", "port", "healthPath", "cloud", "region", "nearestAwsRegion", "residency",
    }  # fmt: skip
    assert (endpoint["hostname"], endpoint["port"], endpoint["healthPath"]) == (None, 443, "/readyz")
    assert endpoint["nearestAwsRegion"] == "ap-east-1"
    assert pools["spot"] == {"name": None, "types": [], "size": 0}
    name = "spillway-tencent-ap-guangzhou-on-demand"
    assert pools["onDemand"] == {"name": name, "types": ["GT4.41XLARGE948"], "size": 2}
    assert (pools["target"], pools["floor"], pools["max"], pools["capacityBlocks"]) == (2, 2, 4, [])
    assert region.outputs["image"] == {"family": "spillway-vllm", "version": "2026.11.1", "id": IMAGE}
    assert region.outputs["model_store"] == f"cos://spillway-models-ap-guangzhou-{app_id(ACCOUNT)}/models/"


def test_the_provider_has_the_region_of_the_stack_file_and_no_other_account(region: Deployment) -> None:
    (asked,) = region.providers
    assert (asked["region"], json.loads(asked["allowedAccountIds"])) == ("ap-guangzhou", [ACCOUNT])


def test_everything_is_bought_on_demand_and_nobody_can_log_in(region: Deployment) -> None:
    asked = region.one(tokens.CONFIGURATION)
    assert asked["instanceChargeType"] == "POSTPAID_BY_HOUR"
    assert not any(key.startswith("spot") for key in asked)
    assert asked["keepImageLogin"] is True
    assert not {"password", "keyIds"} & asked.keys()
    assert (asked["publicIpAssigned"], asked["internetMaxBandwidthOut"]) == (False, 0)
    assert asked["enhancedAutomationToolsService"] is False, "no remote commands"


def test_the_pool_is_as_large_as_the_target_over_all_zones(region: Deployment) -> None:
    group = region.one(tokens.GROUP)
    assert (group["minSize"], group["desiredCapacity"], group["maxSize"]) == (2, 2, 4)
    assert group["multiZoneSubnetPolicy"] == "EQUALITY"
    assert len(group["subnetIds"]) == 2
    assert group["retryPolicy"] == "INCREMENTAL_INTERVALS", "sold out is not given up"


def test_an_unready_node_is_taken_out_of_the_balancer_and_never_replaced_for_it(region: Deployment) -> None:
    group = region.one(tokens.GROUP)
    assert (group["healthCheckType"], group["replaceLoadBalancerUnhealthy"]) == ("CVM", False)
    assert group["replaceMonitorUnhealthy"] is True


def test_nodes_are_put_behind_the_listener_with_equal_weights(region: Deployment) -> None:
    listener = region.one(tokens.LISTENER)
    assert (listener["protocol"], listener["port"], listener["scheduler"]) == ("TCP", 443, "WRR")
    (link,) = region.one(tokens.GROUP)["forwardBalancerIds"]
    assert link["listenerId"].startswith("lbl-"), "not the id of the resource, which names the balancer as well"
    assert link["targetAttributes"] == [{"port": 443, "weight": 10}]


def test_readiness_is_asked_in_clear_text_on_a_port_that_only_probes_reach(region: Deployment) -> None:
    listener = region.one(tokens.LISTENER)
    assert (listener["healthCheckType"], listener["healthCheckHttpPath"]) == ("HTTP", "/readyz")
    assert listener["healthCheckPort"] == PROBE_PORT == node_json(region)["serving"]["probePort"]
    assert listener["healthSourceIpType"] == 1
    let_in = [r for r in region.one(tokens.RULE_SET)["ingresses"] if r["port"] == str(PROBE_PORT)]
    assert [(r["cidrBlock"], r["action"]) for r in let_in] == [("100.64.0.0/10", "ACCEPT")]


def test_the_endpoint_is_an_elastic_address_and_stays_when_the_balancer_does_not() -> None:
    deployment = deployed()
    (before,) = deployment.outputs["endpoint"]["addresses"]
    balancer = deployment.one(tokens.BALANCER)
    assert balancer["networkType"] == "INTERNAL"
    lb = next(r for (t, n), r in deployment.made.items() if t == tokens.EIP and n.endswith("balancer-address"))
    assert (balancer["eipAddressId"], before) == (lb.id, lb["publicIp"])


def test_only_https_gets_in_and_the_last_rule_of_each_direction_drops_the_rest(region: Deployment) -> None:
    rules = region.one(tokens.RULE_SET)
    *accepted, last = rules["ingresses"]
    assert [(r["cidrBlock"], r["port"]) for r in accepted] == [("0.0.0.0/0", "443"), ("100.64.0.0/10", "8080")]
    for direction in ("ingresses", "egresses"):
        *accepted, last = rules[direction]
        assert (last["action"], last["protocol"], last["cidrBlock"]) == ("DROP", "ALL", "0.0.0.0/0")
        assert {r["action"] for r in accepted} == {"ACCEPT"}
    out = {(r["cidrBlock"], r["port"]) for r in rules["egresses"][:-1]}
    assert ("0.0.0.0/0", "443") in out
    assert {port for network, port in out if network == "0.0.0.0/0"} == {"443"}, "all else is the platform's own"


def test_health_checkers_are_let_in_where_clients_leave_them_out() -> None:
    rules = deployed(network__clients=["198.51.100.0/24"], network__checkers=["route53"]).one(tokens.RULE_SET)
    let_in = [r["cidrBlock"] for r in rules["ingresses"] if r["port"] == "443"]
    assert let_in[0] == "198.51.100.0/24"
    assert len(let_in) > 1


def test_a_node_may_read_its_models_folder_and_its_two_secrets(region: Deployment) -> None:
    read, secrets = json.loads(region.one(tokens.POLICY)["document"])["statement"]
    bucket = f"spillway-models-ap-guangzhou-{app_id(ACCOUNT)}"
    folder = f"{bucket}/models/deepseek-r1-distill-llama-70b/2025-01-20/*"
    assert read["resource"] == [f"qcs::cos:ap-guangzhou:uid/{app_id(ACCOUNT)}:{folder}"]
    assert read["action"] == ["name/cos:GetObject", "name/cos:HeadObject"]
    assert secrets["resource"] == [
        f"qcs::ssm:ap-guangzhou:uin/{ACCOUNT}:secret/creatorUin/*/spillway-{label}"
        for label in ("certificate", "api-keys")
    ]
    assert region.one(tokens.CONFIGURATION)["camRoleName"] == region.one(tokens.ROLE)["name"]


def test_the_bucket_is_private_versioned_and_encrypted(region: Deployment) -> None:
    bucket = region.one(tokens.BUCKET)
    assert (bucket["acl"], bucket["versioningEnable"], bucket["encryptionAlgorithm"]) == ("private", True, "AES256")
    assert bucket["forceClean"] is False


def test_a_node_learns_where_its_weights_and_secrets_are(region: Deployment) -> None:
    told = node_json(region)
    assert (told["cloud"], told["pool"]) == ("tencent", "on-demand")
    assert told["model"]["uri"].startswith("cos://spillway-models-ap-guangzhou-")
    assert told["secrets"] == {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"}
    assert told["hooks"] is None


def test_a_node_that_leaves_gets_the_drains_time(region: Deployment) -> None:
    hook = region.one(tokens.HOOK)
    assert (hook["lifecycleTransition"], hook["heartbeatTimeout"]) == ("INSTANCE_TERMINATING", 105)


def test_nothing_follows_the_load_unless_cpu_is_asked_for(region: Deployment) -> None:
    assert region.all(tokens.SCALING_POLICY) == {}
    asked: Any = {"scaling__signal": "cpu", "scaling__cpuPercent": 70, "scaling__cpuMinutes": 5, "scaling__step": 1}
    policies = deployed(**asked).all(tokens.SCALING_POLICY)
    out, back = policies["pools-out"], policies["pools-in"]
    assert (out["metricName"], out["threshold"], out["adjustmentValue"]) == ("CPU_UTILIZATION", 70, 1)
    assert (out["period"], out["continuousTime"]) == (60, 5)
    assert (back["comparisonOperator"], back["adjustmentValue"]) == ("LESS_THAN", -1)
    assert (back["period"], back["continuousTime"]) == (300, 6)


def test_minutes_become_periods_that_the_alarms_have() -> None:
    assert [periods(minutes) for minutes in (1, 10, 15, 50)] == [(60, 1), (60, 10), (300, 3), (300, 10)]
    for minutes in (0, 11, 55):
        with pytest.raises(ValueError, match="expected 1 to 10"):
            periods(minutes)


def test_a_zone_more_renumbers_no_subnet() -> None:
    few = carve("10.48.0.0/16", ["ap-guangzhou-4"])
    more = carve("10.48.0.0/16", ["ap-guangzhou-6", "ap-guangzhou-3", "ap-guangzhou-4"])
    assert few[0] == more[1]
    assert few[0].nodes == "10.48.48.0/20"
    with pytest.raises(ValueError, match="number from 1 to 8"):
        carve("10.48.0.0/16", ["ap-guangzhou-9"])


def test_every_taggable_thing_names_its_stack_and_carries_the_files_own_tags(region: Deployment) -> None:
    untagged = {tokens.ROUTE_ENTRY, tokens.RULE_SET, tokens.POLICY, tokens.ROLE_POLICY, tokens.LISTENER, tokens.HOOK}
    for (token, name), resource in region.made.items():
        if token not in untagged:
            assert resource.inputs["tags"]["spillway:stack"] == "tencent-ap-guangzhou", name
            assert resource.inputs["tags"]["team"] == "platform", name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image__version": "1999.1.1"}, "region.image: no image with image_name_regex=^spillway-vllm-1999-1-1$"),
        ({"image__version": "2026.11.2"}, "is CREATING, not NORMAL"),
        ({"storage__root": {"sizeGib": 50}}, "region.storage.root.sizeGib = 50: the image img-spw2011b needs 60"),
    ],
)  # fmt: skip
def test_what_the_account_lacks_is_one_clear_line_before_anything_is_registered(
    changes: dict[str, Any], told: str
) -> None:
    deployment = Deployment()
    with pytest.raises(NotFound) as refused:
        deployment.up({key.replace("__", "."): value for key, value in changes.items()})
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert deployment.made == {}


def test_credentials_of_another_account_are_refused_by_name() -> None:
    deployment = Deployment()
    deployment.cloud.account = "100099999999"
    with pytest.raises(NotFound, match="account = 100012345678: the credentials belong to the account 100099999999"):
        deployment.up()


def test_the_newest_image_is_taken_only_when_asked_for() -> None:
    newest = TencentImage.model_validate({"family": "spillway-vllm", "newest": True})
    assert image_query(newest)["image_name_regex"] == "^spillway-vllm-[0-9][0-9-]*$"
    assert deployed(image={"family": "spillway-vllm", "newest": True}).outputs["image"]["id"] == IMAGE
    assert image_query(TencentImage.model_validate({"id": IMAGE})) == {"image_id": IMAGE}
    with pytest.raises(ValueError, match="expected an id"):
        image_query(TencentImage.model_validate({"family": "spillway-vllm"}))
    check_image(MachineImage(IMAGE, 60), TencentRootDisk.model_validate({"sizeGib": 60}))
