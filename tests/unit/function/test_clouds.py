"""What the adapters make of the clouds' answers, and what they send."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from azure.mgmt.compute import models
from google.cloud import compute_v1

from infra.function import azure, gcp
from infra.function.loop import Group, Memory
from infra.function.retries import CloudError, Moved
from tests.unit.function.clouds import AZURE, FAKES, ON_DEMAND, SETTINGS, SPOT, AzureFake, GcpFake, Nodes, strict
from tests.unit.function.wire import Answer, Call, connected

BOTH = pytest.mark.parametrize("name", ["azure", "gcp"])
SEEN = Group(1, 1)


def machine(state: str, *codes: str, health: str | None = None, kept: bool = False) -> models.VirtualMachineScaleSetVM:
    view: dict[str, Any] = {"statuses": [{"code": code} for code in codes]}
    if health:
        view["vmHealth"] = {"status": {"code": health}}
    properties = {
        "provisioningState": state,
        "instanceView": view,
        "protectionPolicy": {"protectFromScaleIn": kept},
    }
    body = {"location": "eastus", "instanceId": "7", "properties": properties}
    found: models.VirtualMachineScaleSetVM = strict(models.VirtualMachineScaleSetVM(body))
    return found


@pytest.mark.parametrize(
    ("vm", "group"),
    [
        (machine("Succeeded", "PowerState/running", health="HealthState/healthy"), Group(1, in_service=1)),
        (machine("Updating", "PowerState/running", health="HealthState/healthy"), Group(1, in_service=1)),
        (machine("Succeeded", "PowerState/running", health="HealthState/unhealthy"), Group(1, pending=1)),
        (machine("Succeeded", "PowerState/running", health="HealthState/initializing"), Group(1, pending=1)),
        (machine("Succeeded", "PowerState/running"), Group(1, pending=1)),
        (machine("Creating", "ProvisioningState/creating", "PowerState/starting"), Group(1, pending=1)),
        (machine("Creating", "ProvisioningState/creating"), Group(1, creating=1)),
        (machine("Deleting", "PowerState/running", health="HealthState/healthy"), Group(1, terminating=1)),
        (machine("Failed"), Group(1, refused=1, failed=("7",))),
        (machine("Failed", "PowerState/running"), Group(1, pending=1)),
        (machine("Succeeded", "PowerState/deallocated"), Group(1, refused=1, failed=("7",))),
        (machine("Failed", kept=True), Group(1)),
        (machine("Succeeded", "PowerState/stopping"), Group(1)),
        (models.VirtualMachineScaleSetVM({"location": "eastus"}), Group(1)),
    ],
)
def test_a_scale_sets_vm_is_in_service_once_its_health_extension_says_healthy(
    vm: models.VirtualMachineScaleSetVM, group: Group
) -> None:
    assert azure.count(1, [vm], None) == group


def managed(action: str, status: str = "", health: str = "", failed: bool = False) -> compute_v1.ManagedInstance:
    attempt: dict[str, Any] = {"errors": {"errors": [{"code": "QUOTA_EXCEEDED", "message": "quota"}]}} if failed else {}
    return compute_v1.ManagedInstance(
        current_action=action,
        instance_status=status,
        instance_health=[{"detailed_health_state": health}] if health else [],
        last_attempt=attempt,
    )


@pytest.mark.parametrize(
    ("instance", "group"),
    [
        (managed("NONE", "RUNNING", "HEALTHY"), Group(1, in_service=1)),
        (managed("VERIFYING", "RUNNING", "HEALTHY"), Group(1, in_service=1)),
        (managed("REFRESHING", "RUNNING", "HEALTHY"), Group(1, in_service=1)),
        (managed("NONE", "RUNNING", "HEALTHY", failed=True), Group(1, in_service=1)),
        (managed("VERIFYING", "RUNNING", "TIMEOUT"), Group(1, pending=1)),
        (managed("NONE", "RUNNING", "UNHEALTHY"), Group(1, pending=1)),
        (managed("NONE", "RUNNING"), Group(1, pending=1)),
        (managed("RECREATING", "RUNNING", "HEALTHY"), Group(1, pending=1)),
        (managed("CREATING", "STAGING"), Group(1, pending=1)),
        (managed("CREATING", "PROVISIONING"), Group(1, creating=1)),
        (managed("CREATING"), Group(1, creating=1)),
        (managed("RECREATING"), Group(1, creating=1)),
        (managed("CREATING", failed=True), Group(1, refused=1)),
        (managed("CREATING", "PROVISIONING", failed=True), Group(1, refused=1)),
        (managed("DELETING", "RUNNING", "HEALTHY"), Group(1, terminating=1)),
        (managed("ABANDONING", "RUNNING", "HEALTHY"), Group(1, terminating=1)),
        (managed("NONE", "STOPPING"), Group(1)),
        (managed("NONE", "TERMINATED"), Group(1)),
    ],
)
def test_a_managed_instance_is_in_service_once_its_health_check_says_healthy(
    instance: compute_v1.ManagedInstance, group: Group
) -> None:
    assert gcp.count(1, [instance]) == group


@BOTH
def test_a_group_is_read_whole_however_many_pages_it_has(name: str) -> None:
    fake = FAKES[name]()
    fake.groups[SPOT] = Nodes(size=9, serving=3, booting=2, creating=1, leaving=1)
    with connected(fake.wire):
        group = fake.cloud(SETTINGS[name]).group(SPOT)
    assert (group.size, group.in_service, group.pending, group.creating, group.terminating) == (9, 3, 2, 1, 1)


@BOTH
def test_only_the_size_is_sent_and_nobody_waits_for_nodes(name: str) -> None:
    fake = FAKES[name]()
    with connected(fake.wire):
        fake.cloud(SETTINGS[name]).resize(ON_DEMAND, SEEN, 3, 100)
    assert fake.resizes == [(ON_DEMAND, 3)]
    assert len(fake.wire.calls) == 1


def test_a_lower_capacity_is_tied_to_what_was_seen_and_a_higher_one_is_not() -> None:
    fake = AzureFake()
    with connected(fake.wire):
        cloud = fake.cloud(SETTINGS["azure"])
        cloud.resize(ON_DEMAND, Group(2, 2, version='"1"'), 1, 100)
        cloud.resize(ON_DEMAND, Group(2, 2, version='"1"'), 3, 100)
    lower, higher = fake.wire.sent("PATCH", ON_DEMAND)
    assert lower.headers["if-match"] == '"1"'
    assert "if-match" not in higher.headers


def test_an_order_that_is_repeated_within_its_minute_is_the_same_order_to_google() -> None:
    fake = GcpFake()
    with connected(fake.wire):
        cloud = fake.cloud(SETTINGS["gcp"])
        for size, minute in ((3, 100), (3, 100), (2, 100), (3, 101)):
            cloud.resize(ON_DEMAND, SEEN, size, minute)
    ids = [call.query["requestId"] for call in fake.wire.calls]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def fails(status: int, times: int, headers: dict[str, str] | None = None, body: Any = None) -> Any:
    left = [times]

    def fault(call: Call) -> Answer | None:
        if left[0] <= 0:
            return None
        left[0] -= 1
        return Answer(status, body or {"error": {"code": "TooManyRequests", "message": "slow\ndown"}}, headers or {})

    return fault


def drops(times: int) -> Any:
    left = [times]

    def fault(call: Call) -> Answer | None:
        left[0] -= 1
        if left[0] >= 0:
            raise requests.ConnectionError("connection reset")
        return None

    return fault


@BOTH
def test_throttling_is_waited_out_as_long_as_the_cloud_asks(name: str) -> None:
    fake = FAKES[name]()
    fake.wire.faults.append(fails(429, 2, {"Retry-After": "6"}))
    with connected(fake.wire):
        fake.cloud(SETTINGS[name]).resize(SPOT, SEEN, 2, 1)
    assert (fake.waits, fake.resizes) == ([6.0, 6.0], [(SPOT, 2)])


@BOTH
def test_a_wait_that_does_not_fit_into_the_run_ends_it_with_one_line(name: str) -> None:
    fake = FAKES[name]()
    fake.wire.faults.append(fails(429, 9, {"Retry-After": "300"}))
    with connected(fake.wire), pytest.raises(CloudError, match="wants 300 s; left to the next run") as caught:
        fake.cloud(SETTINGS[name]).group(SPOT)
    assert "\n" not in str(caught.value)
    assert (len(fake.wire.calls), fake.waits) == (1, [])


@BOTH
@pytest.mark.parametrize("fault", [fails(503, 2), fails(500, 1), drops(2)], ids=["503", "500", "dropped"])
def test_a_passing_fault_is_tried_again(name: str, fault: Any) -> None:
    fake = FAKES[name]()
    fake.wire.faults.append(fault)
    with connected(fake.wire):
        assert fake.cloud(SETTINGS[name]).group(SPOT) == (Group(0, version='"1"') if name == "azure" else Group(0))


def test_googles_rate_limit_that_comes_as_403_is_waited_out_and_a_missing_right_is_not() -> None:
    def refusal(reason: str) -> dict[str, Any]:
        return {"error": {"code": 403, "message": "no", "errors": [{"reason": reason, "message": "no"}]}}

    fake = GcpFake()
    fake.wire.faults.append(fails(403, 1, body=refusal("rateLimitExceeded")))
    with connected(fake.wire):
        cloud = fake.cloud(SETTINGS["gcp"])
        assert cloud.group(SPOT).size == 0
        fake.wire.faults.append(fails(403, 1, body=refusal("forbidden")))
        with pytest.raises(CloudError, match="403"):
            cloud.group(SPOT)
    assert fake.waits == [0.5]


@BOTH
def test_a_missing_right_is_one_line_and_no_retry(name: str) -> None:
    fake = FAKES[name]()
    body = {"error": {"code": "AuthorizationFailed", "message": "does not have authorization\nto do it"}}
    fake.wire.faults.append(fails(403, 1, body=body))
    with connected(fake.wire), pytest.raises(CloudError, match=SPOT) as caught:
        fake.cloud(SETTINGS[name]).group(SPOT)
    assert "\n" not in str(caught.value)
    assert fake.waits == []


def test_a_scale_set_that_changed_meanwhile_is_not_lowered() -> None:
    fake = AzureFake()
    fake.wire.faults.append(fails(412, 1, body={"error": {"code": "PreconditionFailed", "message": "etag"}}))
    with connected(fake.wire), pytest.raises(Moved):
        fake.cloud(SETTINGS["azure"]).resize(ON_DEMAND, Group(2, 2, version='"0"'), 1, 1)


def test_a_scale_set_that_is_busy_is_left_to_the_next_run() -> None:
    fake = AzureFake()
    fake.wire.faults.append(fails(409, 1, body={"error": {"code": "Conflict", "message": "another operation runs"}}))
    with connected(fake.wire), pytest.raises(CloudError, match="another operation runs") as caught:
        fake.cloud(SETTINGS["azure"]).resize(ON_DEMAND, SEEN, 2, 1)
    assert caught.value.transient


@BOTH
def test_the_state_is_read_as_written_and_of_two_writers_one_is_refused(name: str) -> None:
    fake = FAKES[name]()
    with connected(fake.wire):
        cloud = fake.cloud(SETTINGS[name])
        assert cloud.recall() == (None, None)
        cloud.save(Memory(spot=2).to_text(), None)
        with pytest.raises(Moved):
            cloud.save("{}", None)
        text, version = cloud.recall()
        assert Memory.from_text(text) == Memory(spot=2)
        cloud.save(Memory(spot=3).to_text(), version)
        with pytest.raises(Moved):
            cloud.save("{}", version)
        assert Memory.from_text(cloud.recall()[0]) == Memory(spot=3)


@BOTH
@pytest.mark.parametrize("signal", ["queue", "cpu"])
def test_the_load_is_the_mean_of_each_minute_and_a_minute_that_nobody_reported_is_none(name: str, signal: str) -> None:
    fake = FAKES[name]()
    fake.samples = [10.0, None, 30.0, None]
    settings = SETTINGS[name].model_copy(update={"scaling_signal": signal})
    with connected(fake.wire):
        found = fake.cloud(settings).load(4, Group(2, in_service=2), Group(1, in_service=1))
    assert [None if value is None else round(value, 6) for value in found] == fake.samples
    asked = json.dumps([[call.query, call.path] for call in fake.wire.calls])
    words = {("azure", "queue"): "QueuePerReplica", ("azure", "cpu"): "Percentage CPU"}
    words |= {("gcp", "queue"): "Spillway/QueuePerReplica", ("gcp", "cpu"): "instance/cpu/utilization"}
    assert words[name, signal] in asked


def test_the_mean_of_two_scale_sets_counts_nodes_not_sets() -> None:
    fake = AzureFake()
    loads = {SPOT: [10.0], ON_DEMAND: [40.0]}

    def by_set(call: Call) -> Answer | None:
        fake.samples = list(loads[SPOT if f"/{SPOT}/" in call.path else ON_DEMAND])
        return None

    fake.wire.faults.append(by_set)
    settings = SETTINGS["azure"].model_copy(update={"scaling_signal": "queue"})
    with connected(fake.wire):
        assert fake.cloud(settings).load(1, Group(2, in_service=2), Group(1, in_service=1)) == [20.0]


@BOTH
def test_a_metric_that_no_node_has_sent_yet_is_no_load(name: str) -> None:
    fake = FAKES[name]()
    status = 400 if name == "azure" else 404
    fake.wire.faults.append(fails(status, 9, body={"error": {"code": "BadRequest", "message": "no such namespace"}}))
    settings = SETTINGS[name].model_copy(update={"scaling_signal": "queue"})
    with connected(fake.wire):
        assert fake.cloud(settings).load(3, Group(1, in_service=1), Group(0)) == [None] * 3


def test_the_functions_own_identity_gives_a_token_for_each_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Azure Functions: https://learn.microsoft.com/azure/app-service/overview-managed-identity (REST endpoint)"""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "from the host")
    fake, asked = AzureFake(), list[tuple[str, str]]()

    def identity(call: Call) -> Answer | None:
        if call.host != "169.254.129.2":
            return None
        assert call.headers["x-identity-header"] == "from the host"
        asked.append((call.query["resource"], call.query["client_id"]))
        token = {"access_token": "token", "expires_on": "4102444800", "token_type": "Bearer"}
        return Answer(200, token | {"resource": call.query["resource"], "client_id": call.query["client_id"]})

    fake.wire.faults.append(identity)
    with connected(fake.wire):
        cloud = azure.AzureCloud(AZURE, fake.budget())
        assert cloud.group(SPOT).size == 0
        assert cloud.recall() == (None, None)
        cloud.publish({"FallbackGap": 1}, 100)
    services = ("https://management.azure.com", "https://storage.azure.com", "https://monitoring.azure.com")
    assert {(resource.rstrip("/"), client) for resource, client in asked} == {(one, AZURE.identity) for one in services}


def test_a_function_without_identity_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://169.254.129.2:8081/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "from the host")
    fake = AzureFake()
    body = {"error": {"code": "invalid_request", "message": "no such identity"}}
    fake.wire.faults.append(lambda call: Answer(400, body) if call.host == "169.254.129.2" else None)
    with connected(fake.wire), pytest.raises(CloudError, match=SPOT) as caught:
        azure.AzureCloud(AZURE, fake.budget()).group(SPOT)
    assert "\n" not in str(caught.value)
