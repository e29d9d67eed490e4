"""A region's preflight on Google Cloud, through the SDKs' own operations and messages, over a network that ends in a
fake."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.auth.exceptions import RefreshError
from google.cloud import compute_v1
from requests.exceptions import ConnectionError as NoConnection

from spillway.preflight.clouds import preflight_of
from spillway.preflight.gcp_region.account_checks import RIGHTS
from spillway.preflight.model import Unreachable
from tests.unit.function.wire import Answer, Call
from tests.unit.preflight.fake_account import states
from tests.unit.preflight.fake_gcp import (
    ADDRESSES,
    ADVICE,
    BILLED,
    BUCKET,
    DENIED,
    DISABLED,
    IMAGE,
    INSTANCES,
    MANAGED,
    MANIFEST,
    NETWORKS,
    NEWEST,
    PATH,
    PROJECT,
    REGION,
    REGIONAL,
    SERVICES,
    STACK,
    TESTED,
    TYPES,
    TYPES_PATH,
    ZONES,
    GcpProject,
    addresses,
    advice,
    config,
    error,
    image,
    instances,
    machine_types,
    networks,
    project,
    quota,
    regional,
    told,
)


@pytest.fixture
def gcp() -> GcpProject:
    return GcpProject()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spillway.preflight.gcp_calls.PATIENCE", 0.0)


def test_a_project_with_room_and_rights_is_ready_before_the_first_up(gcp: GcpProject) -> None:
    found = gcp.rows()
    assert states(found) == {}
    assert set(states(found, "note")) == {"weights", "certificate", "api-keys", "placement"}
    assert found["identity"].found == f"{PROJECT}, number 384265814469: ACTIVE"
    assert found["quota.on-demand.NVIDIA_A100_GPUS"].needed == "48 GPUs: 6 x a2-highgpu-8g (8)"
    asked = [call for call in gcp.wire.calls if call.method == "POST"]
    assert {call.path.rpartition(":")[2] if ":" in call.path else call.path for call in asked} == {
        "testIamPermissions", ADVICE,
    }, "only questions"  # fmt: skip


def test_machine_types_and_instances_are_asked_for_by_name_and_by_label(gcp: GcpProject) -> None:
    gcp.rows()
    (types,), (own,) = gcp.wire.sent("GET", TYPES_PATH), gcp.wire.sent("GET", INSTANCES)
    assert types.query["filter"] == " OR ".join(f"(name = {name})" for name in TYPES)
    assert own.query["filter"] == f"labels.spillway-stack = {STACK}"


# Who


def test_a_project_on_its_way_out_is_all_that_is_told(gcp: GcpProject) -> None:
    gcp.answers[MANAGED] = Answer(200, {"name": "projects/1", "state": "DELETE_REQUESTED"})
    assert states(gcp.rows()) == {"identity": "failure"}


def test_without_resource_manager_compute_engine_tells_that_the_project_is_there(gcp: GcpProject) -> None:
    gcp.answers[MANAGED] = DISABLED
    assert gcp.rows()["identity"].found == f"{PROJECT}: ACTIVE"
    gcp.answers[PATH] = DENIED
    with pytest.raises(Unreachable, match="is not seen by these credentials") as refusal:
        gcp.rows()
    assert len(refusal.value.lines) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NoConnection("Name or service not known"), "googleapis.com is out of reach: "),
        (RefreshError("Reauthentication is needed."), "gcloud auth application-default login"),  # type: ignore[no-untyped-call]
        (error(401, "Request had invalid authentication credentials."), "gcloud auth application-default login"),
    ],
)
def test_no_network_and_no_login_are_one_line_each(gcp: GcpProject, fault: Any, words: str) -> None:
    def fails(_: Any) -> Answer:
        if isinstance(fault, Exception):
            raise fault
        return fault  # type: ignore[no-any-return]

    gcp.wire.faults.append(fails)
    with pytest.raises(Unreachable, match=words) as refusal:
        gcp.rows()
    assert len(refusal.value.lines) == 1


def test_a_project_that_nobody_pays_for_fails_and_one_without_budgets_is_warned_of(gcp: GcpProject) -> None:
    gcp.missing = {"billing.budgets.create"}
    row = gcp.rows()["billing"]
    assert (row.state, "billing.costsManager" in row.action) == ("warning", True)
    gcp.answers[BILLED] = Answer(200, {"billingEnabled": False, "billingAccountName": ""})
    assert states(gcp.rows(), "failure") == {"billing": "failure"}


def test_rights_that_are_missing_name_the_roles_that_have_them(gcp: GcpProject) -> None:
    gcp.missing = {"iam.roles.create", "resourcemanager.projects.setIamPolicy"}
    row = gcp.rows()["rights"]
    assert (row.state, row.action) == (
        "warning", "they are in roles/iam.roleAdmin, roles/resourcemanager.projectIamAdmin",
    )  # fmt: skip
    gcp.missing = set(RIGHTS)
    assert gcp.rows()["rights"].found == "none of them"


def test_apis_that_are_not_enabled_come_with_one_command(gcp: GcpProject) -> None:
    gcp.off = {"run.googleapis.com", "cloudbuild.googleapis.com"}
    row = gcp.rows()["services"]
    assert row.state == "failure"
    assert row.commands == (f"gcloud services enable --project {PROJECT} cloudbuild.googleapis.com run.googleapis.com",)


# Places


def test_zones_that_are_not_there_or_down_are_told(gcp: GcpProject) -> None:
    zones = [
        compute_v1.Zone(name=ZONES[0], status="DOWN", region=f"https://x/regions/{REGION}"),
        compute_v1.Zone(name=ZONES[1], status="UP", region=f"https://x/regions/{REGION}"),
    ]
    gcp.answers[f"{PATH}/zones"] = told(compute_v1.ZoneList(items=zones))
    found = gcp.rows()
    assert found["zones"].found == f"{ZONES[2]}, {ZONES[3]}: not there"
    assert found["zones.state"].found == f"{ZONES[0]} is DOWN"


def test_a_type_in_some_zones_is_a_note_and_a_pool_without_any_fails(gcp: GcpProject) -> None:
    gcp.answers[TYPES_PATH] = machine_types({ZONES[0]: TYPES[:1], "us-central1-x": TYPES[1:2]})
    found = gcp.rows()
    assert found[f"offerings.{TYPES[0]}"].found == f"in {ZONES[0]} only"
    assert found[f"offerings.{TYPES[1]}"].action == "also offered in us-central1-x"
    assert found[f"offerings.{TYPES[2]}"].state == "warning"
    gcp.answers[TYPES_PATH] = machine_types({"europe-west4-a": TYPES})
    assert set(states(gcp.rows(), "failure")) == {"offerings.spot", "offerings.on-demand"}


# Quotas


def test_vcpus_are_counted_where_the_api_lists_a_quota_of_them(gcp: GcpProject) -> None:
    assert not [id for id in gcp.rows() if "CPUS" in id], "what is not listed is not counted"
    gcp.answers[REGIONAL] = regional(quota("A2_CPUS", 96), quota("PREEMPTIBLE_CPUS", 0))
    gcp.answers[PATH] = project(quota("CPUS_ALL_REGIONS", 32))
    found = gcp.rows()
    row = found["quota.on-demand.A2_CPUS"]
    assert (row.state, row.needed) == ("warning", "576 vCPUs: 6 x a2-highgpu-8g (96)")
    assert "for a3-highgpu-8g the region lists no such quota" in row.action
    assert "quota.spot.A2_CPUS" in found, "without preemptible quota spot counts against the standard one"
    assert found["quota.CPUS_ALL_REGIONS"].state == "failure"
    gcp.answers[REGIONAL] = regional(quota("A2_CPUS", 5000), quota("PREEMPTIBLE_CPUS", 5000))
    assert gcp.rows()["quota.spot.PREEMPTIBLE_CPUS"].state == "ok"


def test_a_pool_fails_only_when_all_its_quotas_together_are_too_small(gcp: GcpProject) -> None:
    gcp.answers[REGIONAL] = regional(quota("NVIDIA_A100_GPUS", 0), quota("NVIDIA_H100_GPUS", 0))
    assert states(gcp.rows()) == {
        "quota.on-demand.NVIDIA_A100_GPUS": "warning", "quota.on-demand.NVIDIA_H100_GPUS": "warning",
    }  # fmt: skip
    short = [quota(f"{prefix}NVIDIA_{model}_GPUS", 8, 8 if model == "H100" else 0)
             for prefix in ("", "PREEMPTIBLE_") for model in ("A100", "A100_80GB", "H100")]  # fmt: skip
    gcp.answers[REGIONAL] = regional(*short)
    found = gcp.rows()
    row = found["quota.on-demand.NVIDIA_H100_GPUS"]
    assert (row.state, row.found) == ("failure", "8 GPUs, 8 used by others")
    assert row.action == "the fallback is sure of 2 of 6 replicas on-demand when spot is gone"
    assert row.request is not None
    assert row.request.command() == (
        f"gcloud beta quotas preferences create --project={PROJECT} --service=compute.googleapis.com "
        f"--quota-id=NVIDIA-H100-GPUS-per-project-region --dimensions=region={REGION} --preferred-value=56"
    )
    spot = found["quota.spot.PREEMPTIBLE_NVIDIA_H100_GPUS"]
    assert (spot.state, spot.action) == (
        "warning", "enough for the 2 wanted now, on-demand stands in above 2",
    )  # fmt: skip


def test_what_the_stack_has_itself_is_not_counted_twice(gcp: GcpProject) -> None:
    gcp.answers[INSTANCES] = instances((TYPES[0], "STANDARD"), (TYPES[0], "SPOT"), (TYPES[0], "SPOT"))
    gcp.answers[REGIONAL] = regional(quota("NVIDIA_A100_GPUS", 56, 16), quota("PREEMPTIBLE_NVIDIA_A100_GPUS", 48, 16))
    gcp.answers[PATH] = project(quota("GPUS_ALL_REGIONS", 64, 32))
    found = gcp.rows()
    assert states(found) == {}
    assert found["quota.on-demand.NVIDIA_A100_GPUS"].found == "56 GPUs, 8 used by others"
    assert found["quota.spot.PREEMPTIBLE_NVIDIA_A100_GPUS"].found == "48 GPUs"
    assert found["quota.GPUS_ALL_REGIONS"].found == "64 GPUs, 8 used by others"


@pytest.mark.parametrize(("limit", "state"), [(0, "failure"), (47, "failure"), (48, "warning"), (56, "ok")])
def test_gpus_of_all_regions_hold_the_fallback_and_one_spot_node_beside_it(
    gcp: GcpProject, limit: int, state: str
) -> None:
    gcp.answers[PATH] = project(quota("GPUS_ALL_REGIONS", limit))
    row = gcp.rows()["quota.GPUS_ALL_REGIONS"]
    assert row.state == state
    if state != "ok":
        assert row.request is not None
        assert "--quota-id=GPUS-ALL-REGIONS-per-project --preferred-value=56" in row.request.command()


def test_a_metric_that_the_region_does_not_list_stays_open(gcp: GcpProject) -> None:
    quotas = [quota("NVIDIA_A100_GPUS", 64), quota("STATIC_ADDRESSES", 8)]
    gcp.answers[REGIONAL] = told(compute_v1.Region(name=REGION, quotas=quotas))
    found = gcp.rows()
    assert found["quota.on-demand.a3-highgpu-8g"].found == "the region lists no quota NVIDIA_H100_GPUS"
    assert set(states(found)) == set(states(found, "unknown"))
    assert not any(id.startswith("disk.") for id in found)


def test_disk_space_of_both_pools_is_counted(gcp: GcpProject) -> None:
    found = gcp.rows()
    wanted = config().storage
    each = wanted.root.size_gib + wanted.data.size_gib
    assert found["disk.SSD_TOTAL_GB"].needed == f"{12 * each:,} GB: {each:,} a node"
    gcp.answers[REGIONAL] = regional(
        quota("SSD_TOTAL_GB", 7 * each), quota("LOCAL_SSD_TOTAL_GB", 3000), quota("PREEMPTIBLE_LOCAL_SSD_GB", 0)
    )
    found = gcp.rows()
    assert states(found) == {
        "disk.SSD_TOTAL_GB": "warning",
        "disk.LOCAL_SSD_TOTAL_GB": "failure",
        "disk.PREEMPTIBLE_LOCAL_SSD_GB": "warning",
    }


def test_addresses_and_networks_are_counted(gcp: GcpProject) -> None:
    gcp.answers[REGIONAL] = regional(quota("STATIC_ADDRESSES", 2, 2))
    gcp.answers[PATH] = project(quota("NETWORKS", 5, 5))
    assert states(gcp.rows()) == {"addresses": "failure", "networks": "failure"}
    gcp.answers[ADDRESSES] = addresses({"spillway-stack": STACK}, {})
    gcp.answers[NETWORKS] = networks(f"spillway-{STACK}-vpc", "a", "b", "c", "d")
    assert gcp.rows()["addresses"].state == gcp.rows()["networks"].state == "ok"


# The image


@pytest.mark.parametrize(
    ("changed", "id", "state"),
    [
        ({"status": "FAILED"}, "image.state", "failure"),
        ({"deprecated": compute_v1.DeprecationStatus(state="OBSOLETE")}, "image.deprecation", "failure"),
        ({"deprecated": compute_v1.DeprecationStatus(state="DEPRECATED")}, "image.deprecation", "warning"),
        ({"architecture": "ARM64"}, "image.architecture", "failure"),
        ({"disk_size_gb": 4000}, "image.size", "failure"),
        ({"guest_os_features": [compute_v1.GuestOsFeature(type_="UEFI_COMPATIBLE")]}, "image.gvnic", "warning"),
        ({"creation_timestamp": "2026-08-01T00:00:00.000-07:00"}, "image.age", "warning"),
    ],
)
def test_an_image_of_no_use_says_why(gcp: GcpProject, changed: dict[str, Any], id: str, state: str) -> None:
    gcp.answers[IMAGE] = image(**changed)
    assert states(gcp.rows()) == {id: state}


def test_an_image_is_found_as_the_program_finds_it(gcp: GcpProject) -> None:
    assert gcp.rows({"image": {"family": "spillway-vllm", "version": "1.2"}})["image"].state == "failure"
    gcp.answers[NEWEST] = image()
    assert gcp.rows({"image": {"family": "spillway-vllm", "newest": True}})["image"].state == "ok"
    elsewhere = "projects/builds-of-us/global/images/node"
    gcp.answers[f"/compute/v1/{elsewhere}"] = image(name="node")
    assert gcp.rows({"image": {"id": elsewhere}})["image"].found.startswith("node, ")


# Names, secrets, weights


def test_a_bucket_that_somebody_else_has_or_that_is_elsewhere_fails(gcp: GcpProject) -> None:
    gcp.buckets = {BUCKET: "elsewhere"}
    assert gcp.rows()["bucket"].found == f"{BUCKET}: taken by another project"
    gcp.buckets = {BUCKET: "EU"}
    assert gcp.rows()["bucket"].found == f"{BUCKET}: in eu"
    gcp.buckets, gcp.labels = {BUCKET: REGION.upper()}, {}
    assert gcp.rows()["bucket"].found == f"{BUCKET}: yours already, without this stack's label"


def test_secrets_of_another_region_in_the_same_project_refuse_up(gcp: GcpProject) -> None:
    name = config().secrets.certificate
    gcp.secrets, gcp.labels = {name: None}, {"spillway-stack": "gcp-us-east4"}
    row = gcp.rows()[f"name.{name}"]
    assert (row.state, row.found) == ("failure", "there already, of stack gcp-us-east4")


def test_a_deployed_region_misses_only_its_contents(gcp: GcpProject) -> None:
    gcp.deploy()
    found = gcp.rows()
    assert states(found) == {"weights": "warning", "certificate": "warning", "api-keys": "warning"}
    assert found["api-keys"].commands == (f"spillway secrets push --api-keys keys.json --stack {STACK}",)
    gcp.objects.add(MANIFEST)
    gcp.secrets[config().secrets.api_keys] = json.dumps([{"name": "a", "hash": "x"}])
    gcp.secrets[config().secrets.certificate] = "no PEM"
    found = gcp.rows()
    assert states(found) == {"certificate.parse": "failure"}
    assert found["weights"].found == f"gs://{BUCKET}/{MANIFEST}"


def test_secrets_that_may_not_be_read_are_notes_and_missing_ones_are_told(gcp: GcpProject) -> None:
    gcp.deploy()
    gcp.objects.add(MANIFEST)
    wanted = config().secrets
    gcp.secrets = {wanted.api_keys: error(403, "no", "x", "IAM_PERMISSION_DENIED")}
    found = gcp.rows()
    assert states(found) == {"certificate": "warning"}
    assert found["certificate"].action.startswith("deleted behind Pulumi's back")
    assert found["api-keys"].found.startswith(f"{wanted.api_keys}: has a value; not looked into (denied: ")


# Questions that stay open


def test_an_api_that_a_network_does_not_let_out_is_one_open_row(gcp: GcpProject) -> None:
    def fails(call: Call) -> None:
        if call.host == "serviceusage.googleapis.com":
            raise NoConnection("refused by proxy")

    gcp.wire.faults.append(fails)
    found = gcp.rows()
    assert states(found) == {"services": "unknown"}
    assert found["services"].found.startswith("serviceusage.googleapis.com is out of reach: ")


@pytest.mark.parametrize(
    ("path", "open_rows"),
    [
        (BILLED, {"billing"}),
        (TESTED, {"rights"}),
        (SERVICES, {"services"}),
        (f"{PATH}/zones", {"zones"}),
        (TYPES_PATH, {"offerings"}),
        (REGIONAL, {"quota.on-demand", "quota.spot", "quota.cpus", "disk", "addresses"}),
        (PATH, {"quota.GPUS_ALL_REGIONS", "quota.cpus", "networks"}),
        (IMAGE, {"image"}),
        ("/storage/v1/b", {"bucket", "weights"}),
        (ADVICE, {"placement"}),
    ],
)
@pytest.mark.parametrize("answer", [DENIED, DISABLED, error(429, "slow down"), error(403, "slow", "rateLimitExceeded")])
def test_what_is_denied_disabled_or_throttled_is_a_row_that_says_so(
    gcp: GcpProject, path: str, open_rows: set[str], answer: Answer
) -> None:
    gcp.answers[path] = answer
    found = gcp.rows()
    assert states(found) == dict.fromkeys(open_rows, "unknown")
    told = {found[id].found for id in open_rows}
    if answer is DISABLED:
        assert all(text.endswith(" is not enabled") for text in told)
    elif answer is DENIED:
        assert all(text.startswith("denied: ") for text in told)
    else:
        assert all(text.endswith(" throttles") for text in told)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (advice(0.82), "0.82 of 1 for 2 nodes: high; 2 x a2-highgpu-8g in us-central1-a; estimated to stay 2.0 h"),
        (advice(0.2), "0.20 of 1 for 2 nodes: low; "),
        (told(compute_v1.CapacityAdviceResponse()), "nothing is recommended"),
    ],
)
def test_obtainability_is_a_note(gcp: GcpProject, answer: Answer, words: str) -> None:
    gcp.answers[ADVICE] = answer
    row = gcp.rows()["placement"]
    assert (row.state, row.found.startswith(words)) == ("note", True)
    (call,) = gcp.wire.sent("POST", ADVICE)
    asked = compute_v1.CapacityAdviceRequest.from_json(call.body, ignore_unknown_fields=False)
    assert asked.size == 2
    assert asked.instance_properties.scheduling.provisioning_model == "SPOT"
    assert len(asked.distribution_policy.zones) == len(ZONES)


def test_a_denied_question_names_the_permission_that_the_api_names(gcp: GcpProject) -> None:
    gcp.answers[ADVICE] = error(403, "Required 'compute.advice.capacity' permission for 'projects/spillway-test'")
    assert gcp.rows()["placement"].action == "allow compute.advice.capacity to whoever runs preflight"
    gcp.answers[ADVICE] = error(403, "no")
    assert gcp.rows()["placement"].action == "allow roles/compute.viewer to whoever runs preflight"


def test_advice_is_asked_for_once(gcp: GcpProject) -> None:
    gcp.answers[ADVICE] = error(429, "slow down")
    gcp.rows()
    assert len(gcp.wire.sent("POST", ADVICE)) == 1


def test_a_cloud_is_asked_by_its_own_module() -> None:
    assert preflight_of(config()).__name__ == "spillway.preflight.gcp_region.region"  # type: ignore[attr-defined]
