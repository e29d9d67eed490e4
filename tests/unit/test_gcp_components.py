"""What the components of a region ask of Google Cloud, and that a strict one takes it: made, changed, deleted."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images.tree import ROOTFS
from infra import catalog
from infra.faults import NotFound
from infra.gcp.disks import disks, layout
from infra.gcp.logs import KINDS
from infra.gcp.lookups import (
    MachineImage,
    Project,
    check_image,
    find_image,
    find_project,
    image_query,
)
from infra.gcp.sections import GcpDataDisk, GcpImage, GcpRootDisk
from sandbox.gcp import tokens
from sandbox.gcp.api import project_number
from tests.support.gcp import PROJECT
from tests.support.gcp_region import config
from tests.support.gcp_stack import Deployment, granted

HERE = [machine.name for machine in catalog.machines("gcp") if catalog.zones(machine.name, "us-central1")]
PLAIN_ANYWHERE = [machine.name for machine in catalog.machines("gcp") if "on-demand" in machine.usage_classes]
PLAIN = [name for name in HERE if "on-demand" in catalog.machine(name).usage_classes]


def deployed(**changes: Any) -> Deployment:
    """A region with changes by key, `__` for a dot."""
    deployment = Deployment()
    deployment.up({key.replace("__", "."): value for key, value in changes.items()})
    return deployment


@pytest.fixture(scope="module")
def region() -> Deployment:
    return deployed()


def left(deployment: Deployment) -> set[str]:
    return {token for token, _ in deployment.cloud.state.resources}


def test_a_region_comes_up_stays_as_it_is_and_leaves_nothing_but_its_logs() -> None:
    deployment = deployed()
    before = {key: resource.outputs for key, resource in deployment.made.items()}
    deployment.up()
    assert {key: resource.outputs for key, resource in deployment.made.items()} == before
    deployment.destroy()
    assert left(deployment) == {tokens.LOG_BUCKET}, "which nobody could make again for a week"
    deployment.up({"logs.retentionDays": 7})
    (bucket,) = deployment.cloud.all(tokens.LOG_BUCKET)
    assert bucket["retentionDays"] == 7, "taken up as it stands"


def test_the_provider_has_the_project_and_region_of_the_stack_file() -> None:
    from infra.gcp.provider import provider

    deployment = Deployment()
    deployment.run(lambda: provider(config()))
    (asked,) = deployment.providers
    assert (asked["project"], asked["region"]) == (PROJECT, "us-central1")


def rules_of(deployment: Deployment) -> dict[str, dict[str, Any]]:
    return {name.removeprefix("network-"): rule for name, rule in deployment.all(tokens.FIREWALL).items()}


def test_only_https_gets_in_and_only_https_gets_out(region: Deployment) -> None:
    rules = rules_of(region)
    assert set(rules) == {"from-clients", "from-probes", "to-https", "to-nowhere"}
    open_ = [rule for rule in rules.values() if "allows" in rule]
    assert all(rule["allows"] == [{"protocol": "tcp", "ports": ["443"]}] for rule in open_)
    assert rules["from-clients"]["sourceRanges"] == ["0.0.0.0/0"]
    assert "35.191.0.0/16" in rules["from-probes"]["sourceRanges"], "or every node is unhealthy"
    assert rules["to-nowhere"]["denies"] == [{"protocol": "all"}]
    assert rules["to-nowhere"]["priority"] > rules["to-https"]["priority"], "the lower number is looked at first"


def test_health_checkers_are_let_in_where_clients_leave_them_out() -> None:
    asked: Any = {"network__clients": ["198.51.100.0/24"], "network__checkers": ["route53", "cloudflare"]}
    rules = rules_of(deployed(**asked))
    assert rules["from-clients"]["sourceRanges"] == ["198.51.100.0/24"]
    wanted = catalog.checker_networks(config({key.replace("__", "."): asked[key] for key in asked}).network)
    assert wanted
    assert rules["from-checkers"]["sourceRanges"] == list(wanted)
    assert "from-checkers" not in rules_of(deployed(network__clients=["198.51.100.0/24"], network__checkers=[]))


def test_firewall_rules_are_about_the_nodes(region: Deployment) -> None:
    tags = {tuple(template["tags"]) for template in region.all(tokens.REGION_INSTANCE_TEMPLATE).values()}
    assert tags == {tuple(rule["targetTags"]) for rule in region.all(tokens.FIREWALL).values()}


def test_nodes_have_no_public_address_and_reach_google_without_one(region: Deployment) -> None:
    for template in region.all(tokens.REGION_INSTANCE_TEMPLATE).values():
        (card,) = template["networkInterfaces"]
        assert "accessConfigs" not in card
        assert card["nicType"] == "GVNIC"
    assert region.one(tokens.SUBNETWORK)["privateIpGoogleAccess"] is True
    nat = region.one(tokens.ROUTER_NAT)
    assert [s["name"].rsplit("/", 1)[-1] for s in nat["subnetworks"]] == ["spillway-gcp-us-central1-nodes"]


def test_the_bucket_is_private_versioned_and_in_its_region(region: Deployment) -> None:
    bucket = region.one(tokens.BUCKET, "storage-models")
    assert (bucket["location"], bucket["publicAccessPrevention"]) == ("US-CENTRAL1", "enforced")
    assert bucket["versioning"] == {"enabled": True}
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["forceDestroy"] is False


def test_metrics_are_read_from_networks_that_are_named() -> None:
    rule = rules_of(deployed(network__monitoring=["10.99.0.0/24"]))["from-monitoring"]
    assert (rule["sourceRanges"], rule["direction"]) == (["10.99.0.0/24"], "INGRESS")
    assert rule["allows"] == [{"protocol": "tcp", "ports": ["9443"]}]


def test_logs_have_a_bucket_of_their_own_in_the_region_and_are_kept_nowhere_else(region: Deployment) -> None:
    bucket = region.one(tokens.LOG_BUCKET)
    assert (bucket["location"], bucket["retentionDays"]) == ("us-central1", 30)
    sink, exclusion = region.one(tokens.LOG_SINK), region.one(tokens.LOG_EXCLUSION)
    assert sink["destination"].endswith("/locations/us-central1/buckets/spillway-gcp-us-central1-nodes")
    assert sink["filter"] == exclusion["filter"]
    script = (ROOTFS / "etc" / "fluent-bit" / "redact.lua").read_text()
    rules = script[script.index("local RULES = {") :].partition("}")[0]
    assert set(KINDS) == set(re.findall(r"(\w+) =", rules.partition("{")[2])), "what the agent calls its entries"
    assert all(f'origin("{kind}")' in script for kind in KINDS)
    assert "stack = os.getenv" in script


def test_logs_stay_on_the_nodes_where_the_stack_file_says_so() -> None:
    region = deployed(logs__ship=False)
    assert not left(region) & {tokens.LOG_BUCKET, tokens.LOG_SINK, tokens.LOG_EXCLUSION}
    assert [grant["role"] for grant in granted(region, "node")[tokens.PROJECT_IAM_MEMBER]] == [
        "roles/monitoring.metricWriter"
    ]


def test_a_node_may_read_its_model_its_secrets_and_write_metrics_and_logs_and_nothing_else() -> None:
    region = deployed(model__revision="abc123")
    bucket, folder = region.one(tokens.BUCKET, "storage-models")["name"], "models/deepseek-r1-distill-llama-70b/abc123/"
    grants = granted(region, "node")
    (read,), (metrics, logs) = grants[tokens.BUCKET_IAM_MEMBER], grants[tokens.PROJECT_IAM_MEMBER]
    secrets = grants[tokens.SECRET_IAM_MEMBER]
    assert len(grants) == 3
    assert (read["bucket"], read["role"]) == (bucket, "roles/storage.objectViewer")
    expression = read["condition"]["expression"]
    assert f'resource.name.startsWith("projects/_/buckets/{bucket}/objects/{folder}")' in expression
    assert f'"storage.googleapis.com/objectListPrefix", "").startsWith("{folder}")' in expression
    assert (metrics["project"], metrics["role"]) == (PROJECT, "roles/monitoring.metricWriter")
    assert (logs["project"], logs["role"]) == (PROJECT, "roles/logging.logWriter")
    names = {secret.id for secret in region.cloud.all(tokens.SECRET)}
    assert {grant["secretId"] for grant in secrets} == names
    assert [grant["role"] for grant in secrets] == ["roles/secretmanager.secretAccessor"] * 2


def test_secrets_stay_in_the_region(region: Deployment) -> None:
    for secret in region.all(tokens.SECRET).values():
        assert secret["replication"] == {"userManaged": {"replicas": [{"location": "us-central1"}]}}


def test_spot_nodes_are_deleted_after_a_notice_and_standard_ones_restart(region: Deployment) -> None:
    spot = region.one(tokens.REGION_INSTANCE_TEMPLATE, "spot")["scheduling"]
    assert (spot["provisioningModel"], spot["instanceTerminationAction"]) == ("SPOT", "DELETE")
    assert spot["preemptionNoticeDuration"] == {"seconds": 120}
    standard = region.one(tokens.REGION_INSTANCE_TEMPLATE, "on-demand")["scheduling"]
    assert (standard["provisioningModel"], standard["automaticRestart"]) == ("STANDARD", True)
    assert "preemptionNoticeDuration" not in standard


def test_without_a_notice_none_is_asked_for() -> None:
    region = deployed(node__noticeSeconds=30, node__drainSeconds=20, node__deregisterSeconds=5)
    assert "preemptionNoticeDuration" not in region.one(tokens.REGION_INSTANCE_TEMPLATE, "spot")["scheduling"]


def test_nodes_are_told_who_they_are_in_user_data(region: Deployment) -> None:
    for pool in ("spot", "on-demand"):
        metadata = region.one(tokens.REGION_INSTANCE_TEMPLATE, pool)["metadata"]
        assert metadata["user-data"].startswith("#cloud-config")
        assert f'"group": "spillway-gcp-us-central1-{pool}"' in metadata["user-data"]
        assert '"uri": "gs://spillway-models-spillway-test-us-central1/models/' in metadata["user-data"]
        assert metadata["block-project-ssh-keys"] == "true"


def test_a_change_makes_another_template_before_the_old_one_goes_and_leaves_the_group_its_size() -> None:
    deployment = deployed()
    names = {r.id for r in deployment.cloud.all(tokens.REGION_INSTANCE_TEMPLATE)}
    for group in deployment.cloud.all(tokens.GROUP):
        group.outputs["targetSize"] = 2  # as the fallback function does
        deployment.cloud.put(group)
    deployment.up({"limits.queue": 50})
    now = {r.id for r in deployment.cloud.all(tokens.REGION_INSTANCE_TEMPLATE)}
    assert len(now) == 2
    assert not now & names
    assert [group["targetSize"] for group in deployment.cloud.all(tokens.GROUP)] == [2, 2]


def test_another_machine_type_behind_the_first_changes_no_template() -> None:
    deployment = deployed(pools__types=["a2-highgpu-8g"])
    names = {r.id for r in deployment.cloud.all(tokens.REGION_INSTANCE_TEMPLATE)}
    deployment.up({"pools.types": ["a2-highgpu-8g", "a3-highgpu-8g"]})
    assert {r.id for r in deployment.cloud.all(tokens.REGION_INSTANCE_TEMPLATE)} == names


def test_groups_do_not_wait_balance_or_roll_out_and_say_no_size(region: Deployment) -> None:
    for name, group in region.all(tokens.GROUP).items():
        assert group["waitForInstances"] is False
        assert "targetSize" not in group, name
        assert group["distributionPolicyTargetShape"] == "ANY"
        assert group["updatePolicy"]["type"] == "OPPORTUNISTIC"
        assert group["updatePolicy"]["maxUnavailableFixed"] == 0
        assert group["instanceLifecyclePolicy"]["onRepair"] == {"allowChangingZone": "YES"}
    assert {group["targetSize"] for group in region.cloud.all(tokens.GROUP)} == {0}


def test_a_dead_node_is_replaced_after_it_had_time_to_boot_and_an_unready_one_is_not(region: Deployment) -> None:
    live = region.one(tokens.HEALTH_CHECK)
    assert live["httpsHealthCheck"]["requestPath"] == "/livez"
    ready = region.one(tokens.REGION_HEALTH_CHECK)
    assert ready["httpsHealthCheck"]["requestPath"] == "/readyz"
    for group in region.all(tokens.GROUP).values():
        healing = group["autoHealingPolicies"]
        assert healing["healthCheck"].endswith("/global/healthChecks/spillway-gcp-us-central1-live")
        assert healing["initialDelaySec"] == 1800 > config().fallback.boot_minutes * 60


def selections(deployment: Deployment, pool: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.one(tokens.GROUP, f"pools-{pool}")["instanceFlexibilityPolicy"][
        "instanceSelections"
    ]
    return found


def test_spot_takes_any_type_and_on_demand_the_first_that_there_is(region: Deployment) -> None:
    assert [(s["rank"], s["machineTypes"]) for s in selections(region, "spot")] == [
        (1, ["a2-highgpu-8g"]),
        (1, ["a2-ultragpu-8g"]),
        (1, ["a3-highgpu-8g"]),
    ]
    assert [(s["rank"], s["machineTypes"]) for s in selections(region, "on-demand")] == [
        (1, ["a2-highgpu-8g"]),
        (2, ["a2-ultragpu-8g"]),
        (3, ["a3-highgpu-8g"]),
    ]


def test_types_that_come_with_their_local_disks_bring_a_list_without_them(region: Deployment) -> None:
    first, ultra, high = selections(region, "spot")
    assert "disks" not in first, "the template's own"
    assert [disk["diskType"] for disk in ultra["disks"]] == ["pd-balanced", "pd-balanced"]
    assert [disk["diskType"] for disk in high["disks"]] == ["pd-balanced", "hyperdisk-balanced"]
    assert high["disks"][1]["provisionedIops"] == 16_000
    assert {"key": "spillway-stack", "value": "gcp-us-central1"} in high["disks"][1]["labels"]
    template = region.one(tokens.REGION_INSTANCE_TEMPLATE, "spot")
    assert [disk["diskType"] for disk in template["disks"]].count("local-ssd") == 8
    assert template["disks"][1]["deviceName"] == "spillway-data", "the boot script looks for it"


def test_types_with_the_same_disks_share_a_selection() -> None:
    region = deployed(pools__types=["a3-highgpu-8g", "a3-megagpu-8g"])
    assert [s["machineTypes"] for s in selections(region, "spot")] == [["a3-highgpu-8g", "a3-megagpu-8g"]]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(HERE), min_size=1, max_size=10, unique=True))
def test_any_pool_of_types_that_the_region_offers_is_taken(types: list[str]) -> None:
    deployment = deployed(
        pools__types=types, pools__onDemandTypes=[name for name in types if name in PLAIN] or PLAIN[:1]
    )
    taken = [name for s in selections(deployment, "spot") for name in s["machineTypes"]]
    assert sorted(taken) == sorted(types)
    deployment.destroy()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pools.onDemandTypes": ["a3-ultragpu-8g"]}, "a3-ultragpu-8g does not come as on-demand, only as spot"),
        ({"pools.types": ["a3-highgpu-1g"]}, "a3-highgpu-1g does not come as on-demand"),
        ({"node.gracePeriodMinutes": 90}, "expected at most 3,600 s on GCP"),
        ({"budget.emails": [f"a{i}@example.com" for i in range(6)]}, "expected 1 to 5"),
        ({"pools.onDemandTypes": PLAIN[:11]}, "11 instance selections, the limit is 10"),
        ({"tags": {"Team": "x"}}, "label 'Team'"),
        (
            {"pools.types": ["a3-highgpu-8g"], "storage": {"data": {"sizeGib": 32, "iops": 20_000}}},
            "expected 3,000 to 16,000 at its size",
        ),
        (
            {"pools.types": ["a3-highgpu-8g"], "storage": {"data": {"iops": 3000, "throughputMbps": 1000}}},
            "expected 140 to 750 with 3,000 IOPS",
        ),
    ],
)
def test_what_google_cloud_would_refuse_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as error:
        Deployment().up(changes)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def plain_types(region: str) -> list[str]:
    """Machine types that a region offers, of those that come on demand as well."""
    return [name for name in PLAIN_ANYWHERE if catalog.zones(name, region)]


@pytest.mark.parametrize("region", [region for region in catalog.regions("gcp") if plain_types(region)])
def test_every_region_with_plain_gpus_comes_up_and_goes(region: str) -> None:
    types = plain_types(region)
    deployment = Deployment(region)
    deployment.up({"pools.types": types[:10]})
    assert len(deployment.cloud.all(tokens.GROUP, region=region)) == 2
    deployment.destroy()
    assert left(deployment) == {tokens.LOG_BUCKET}


@pytest.mark.parametrize("machine", [m.name for m in catalog.machines("gcp")])
def test_every_machine_type_has_disks(machine: str) -> None:
    found = disks(layout(machine), "image", GcpRootDisk(), GcpDataDisk(), {})
    known = catalog.machine(machine)
    assert found[0]["disk_type"] in known.boot_disks
    assert found[1]["disk_type"] in known.data_disks
    assert len(found) - 2 == (known.nvme_count if known.attached_nvme else 0)


def test_the_balancer_hands_tcp_443_to_both_pools_at_one_address(region: Deployment) -> None:
    service = region.one(tokens.REGION_BACKEND_SERVICE)
    assert [b["group"].rsplit("/", 2)[-2:] for b in service["backends"]] == [
        ["instanceGroups", "spillway-gcp-us-central1-spot"],
        ["instanceGroups", "spillway-gcp-us-central1-on-demand"],
    ]
    assert {b["balancingMode"] for b in service["backends"]} == {"CONNECTION"}
    assert service["connectionDrainingTimeoutSec"] == 105, "deregistration and drain"
    rule = region.one(tokens.FORWARDING_RULE)
    assert (rule["ports"], rule["ipProtocol"]) == (["443"], "TCP")


def test_the_region_tells_one_address() -> None:
    seen: list[Any] = []
    Deployment().up(look=lambda region: region.endpoint.apply(lambda endpoint: seen.append(endpoint["addresses"])))
    assert [len(addresses) for addresses in seen] == [1]


def test_people_are_told_of_preemptions_and_failed_launches_of_this_region_only(region: Deployment) -> None:
    for alert in (region.one(tokens.ALERT_POLICY, f"events-{label}") for label in ("interruption", "launch-failed")):
        text = alert["conditions"][0]["conditionMatchedLog"]["filter"]
        assert (
            '("/instances/spillway-gcp-us-central1-spot-" OR "/instances/spillway-gcp-us-central1-on-demand-")' in text
        )
        assert len(alert["notificationChannels"]) == 2


def test_the_budget_counts_what_carries_the_stacks_label(region: Deployment) -> None:
    budget = region.one(tokens.BUDGET)
    assert budget["budgetFilter"]["projects"] == [f"projects/{project_number(PROJECT)}"]
    assert budget["budgetFilter"]["labels"] == {"spillway-stack": "gcp-us-central1"}
    assert budget["amount"]["specifiedAmount"] == {"currencyCode": "USD", "units": "60000"}
    assert [(r["thresholdPercent"], r["spendBasis"]) for r in budget["thresholdRules"]] == [
        (0.8, "CURRENT_SPEND"),
        (1, "CURRENT_SPEND"),
        (1, "FORECASTED_SPEND"),
    ]


def test_all_that_takes_labels_carries_the_stacks(region: Deployment) -> None:
    for (token, name), resource in region.made.items():
        labels = resource.inputs.get("userLabels", resource.inputs.get("labels"))
        if labels is not None and token != tokens.BUDGET:
            assert labels["spillway-stack"] == "gcp-us-central1", name
            assert labels["team"] == "platform", name


def image(**values: Any) -> GcpImage:
    return GcpImage.model_validate(values)


@pytest.mark.parametrize(
    ("asked", "query"),
    [
        ({"family": "spillway-vllm", "version": "2026.11.1"}, {"name": "spillway-vllm-2026-11-1"}),
        ({"family": "spillway-vllm", "newest": True}, {"family": "spillway-vllm"}),
        (
            {"family": "spillway-vllm", "version": "2026.11.1", "project": "image-factory"},
            {"name": "spillway-vllm-2026-11-1", "project": "image-factory"},
        ),
        ({"id": "projects/image-factory/global/images/mine"}, {"name": "mine", "project": "image-factory"}),
    ],
)
def test_images_are_asked_for_by_name_unless_the_newest_is_wanted(asked: dict[str, Any], query: dict[str, str]) -> None:
    assert image_query(image(**asked)) == query


def test_an_image_of_a_family_needs_a_version() -> None:
    with pytest.raises(ValueError, match="expected an id, or family and version"):
        image_query(image(family="spillway-vllm"))


def looked_up(look: Any) -> Any:
    found: list[Any] = []

    def program() -> None:
        from infra.gcp.provider import provider

        found.append(look(provider(config())))

    Deployment().run(program)
    return found[0]


def test_the_image_and_the_project_are_found() -> None:
    assert looked_up(lambda cloud: find_image(config().image, cloud)) == MachineImage(
        f"projects/{PROJECT}/global/images/spillway-vllm-2026-11-1", 60
    )
    assert looked_up(lambda cloud: find_project(PROJECT, cloud)) == Project(
        project_number(PROJECT), "012345-6789AB-CDEF01"
    )


def test_what_is_not_there_is_one_line_with_its_key() -> None:
    def absent(cloud: pulumi.ProviderResource) -> list[str]:
        lines = []
        for look in (
            lambda: find_image(image(family="spillway-vllm", version="1999.1"), cloud),
            lambda: find_project("somebody-elses", cloud),
        ):
            with pytest.raises(NotFound) as error:
                look()
            lines.append(str(error.value))
        return lines

    first, second = looked_up(absent)
    assert first.startswith("spillway:region.image: cannot find an image with name=spillway-vllm-1999-1: ")
    assert second.startswith("spillway:region.account: cannot find the project somebody-elses: ")
    assert "\n" not in first + second


def test_an_image_has_to_fit_on_the_root_disk() -> None:
    root = GcpRootDisk.model_validate({"sizeGib": 50})
    with pytest.raises(NotFound, match="sizeGib = 50: the image big needs 60 GiB"):
        check_image(MachineImage("projects/p/global/images/big", 60), root)
    check_image(MachineImage("projects/p/global/images/big", 50), root)
