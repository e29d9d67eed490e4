"""The fallback function of a GCP region: what it is told, what it may do, who calls it, and what a change of it is."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import pytest

from infra.function import package
from infra.function.retries import RUN_SECONDS
from infra.function.settings import GcpSettings
from infra.gcp import names
from infra.gcp.scaling import DEADLINE, TIMEOUT_SECONDS, state_condition
from sandbox.gcp import tokens
from tests.support.gcp import PROJECT
from tests.support.gcp_region import STACK
from tests.support.gcp_stack import Deployment, granted

BUCKET = f"spillway-fallback-{PROJECT}-us-central1"


def deployed(changes: dict[str, Any] | None = None) -> Deployment:
    deployment = Deployment()
    deployment.up(changes)
    return deployment


@pytest.fixture(scope="module")
def region() -> Deployment:
    return deployed()


def settings(deployment: Deployment) -> GcpSettings:
    return GcpSettings.read(deployment.one(tokens.FUNCTION)["serviceConfig"]["environmentVariables"])


def permissions(deployment: Deployment, role: str) -> set[str]:
    return set(deployment.cloud.state.resources[tokens.PROJECT_ROLE, role]["permissions"])


def test_the_function_reads_the_stack_files_numbers_and_the_names_of_both_groups() -> None:
    told = settings(deployed({"fallback.outMinutes": 3, "scaling": {"signal": "cpu", "cpuPercent": 70.5}}))
    assert (told.target, told.floor, told.max) == (2, 1, 6)
    assert told.fallback_out_minutes == 3
    assert (told.scaling_signal, told.scaling_cpu_percent) == ("cpu", 70.5)
    assert (told.spot_group, told.on_demand_group) == (f"spillway-{STACK}-spot", f"spillway-{STACK}-on-demand")
    assert (told.project, told.region, told.stack) == (PROJECT, "us-central1", STACK)
    assert told.state == f"gs://{BUCKET}/state.json"
    assert not told.dry_run


def test_a_dry_run_is_a_line_in_the_stack_file() -> None:
    assert settings(deployed({"fallback.dryRun": True})).dry_run


def test_another_target_changes_the_functions_settings_and_nothing_else() -> None:
    deployment = deployed()
    before = {key: dict(resource.inputs) for key, resource in deployment.made.items()}
    deployment.up({"pools.target": 4})
    changed = [key for key, resource in deployment.made.items() if resource.inputs != before[key]]
    assert [token for token, _ in changed] == [tokens.FUNCTION]
    assert settings(deployment).target == 4


def test_the_archive_is_what_the_function_is_built_from(region: Deployment) -> None:
    function, archive = region.one(tokens.FUNCTION), region.one(tokens.BUCKET_OBJECT)
    build = function["buildConfig"]
    assert build["source"]["storageSource"] == {"bucket": BUCKET, "object": archive["name"]}
    assert (build["runtime"], build["entryPoint"]) == ("python312", "fallback")
    with zipfile.ZipFile(archive["source"]["path"]) as packed:
        assert "def fallback(" in packed.read("main.py").decode()
        assert {"requirements.txt", "infra/fallback.py", "infra/function/gcp.py"} <= set(packed.namelist())


def test_other_code_is_another_object_and_another_build(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = deployed()
    before = deployment.one(tokens.BUCKET_OBJECT)["name"]
    monkeypatch.setattr(package, "requirements", lambda cloud, lock: "# none\n")
    deployment.up()
    now = deployment.one(tokens.BUCKET_OBJECT)["name"]
    assert now != before
    assert deployment.one(tokens.FUNCTION)["buildConfig"]["source"]["storageSource"]["object"] == now
    assert [r["name"] for r in deployment.cloud.all(tokens.BUCKET_OBJECT)] == [now], "the old one is gone"


def test_one_run_at_a_time_over_before_the_next_begins(region: Deployment) -> None:
    service, job = region.one(tokens.FUNCTION)["serviceConfig"], region.one(tokens.JOB)
    assert (service["maxInstanceCount"], service["maxInstanceRequestConcurrency"]) == (1, 1)
    assert RUN_SECONDS < service["timeoutSeconds"] == TIMEOUT_SECONDS < int(DEADLINE.rstrip("s")) <= 60
    assert (job["schedule"], job["attemptDeadline"]) == ("* * * * *", DEADLINE)
    assert job["retryConfig"]["retryCount"] == 1


def test_nobody_calls_the_function_but_its_timer_from_within_the_project(region: Deployment) -> None:
    function = region.cloud.all(tokens.FUNCTION)[0]
    assert function["serviceConfig"]["ingressSettings"] == "ALLOW_INTERNAL_ONLY"
    target = region.one(tokens.JOB)["httpTarget"]
    email = f"spillway-us-central1-timer@{PROJECT}.iam.gserviceaccount.com"
    assert target["uri"] == function["serviceConfig"]["uri"]
    assert ".run.app" in target["uri"], "only this address counts as internal"
    assert target["oidcToken"] == {"serviceAccountEmail": email, "audience": target["uri"]}
    (call,) = region.all(tokens.RUN_V2_IAM_MEMBER).values()
    assert (call["name"], call["role"]) == (names.function_name(STACK), "roles/run.invoker")
    assert granted(region, "timer") == {tokens.RUN_V2_IAM_MEMBER: [call]}, "and the timer does nothing else"


def test_the_function_may_read_and_size_groups_read_and_write_metrics_and_its_state(region: Deployment) -> None:
    grants = granted(region, "fallback")
    assert set(grants) == {tokens.PROJECT_IAM_MEMBER, tokens.BUCKET_IAM_MEMBER}
    roles = {grant["role"]: grant for grant in grants[tokens.PROJECT_IAM_MEMBER]}
    (own,) = set(roles) - {"roles/monitoring.metricWriter"}
    assert own.startswith(f"projects/{PROJECT}/roles/spillway_gcp_us_central1_fallback_")
    assert len(roles) == 2
    assert permissions(region, own) == {
        "compute.instanceGroupManagers.get",
        "compute.instanceGroupManagers.list",
        "compute.instanceGroupManagers.update",
        "monitoring.timeSeries.list",
    }
    (state,) = grants[tokens.BUCKET_IAM_MEMBER]
    assert state["bucket"] == BUCKET
    assert state["condition"]["expression"] == state_condition(BUCKET)
    assert permissions(region, state["role"]) == {
        f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")
    }
    assert settings(region).state.removeprefix("gs://").replace("/", "/objects/", 1) in state_condition(BUCKET)


def test_a_region_that_is_built_again_asks_for_other_roles() -> None:
    """A deleted role keeps its id for weeks."""
    deployment = deployed()

    def roles() -> set[str]:
        return {role["roleId"] for role in deployment.all(tokens.PROJECT_ROLE).values()}

    before = roles()
    deployment.up({"pools.target": 3})
    assert roles() == before, "for as long as it stands"
    deployment.destroy()
    deployment.up()
    assert len(roles()) == len(before) == 2
    assert not roles() & before


def test_the_build_reads_the_archive_and_not_the_models(region: Deployment) -> None:
    grants = granted(region, "build")
    assert set(grants) == {tokens.PROJECT_IAM_MEMBER}
    by_role = {grant["role"]: grant.get("condition", {}) for grant in grants[tokens.PROJECT_IAM_MEMBER]}
    assert set(by_role) == {
        "roles/logging.logWriter",
        "roles/artifactregistry.writer",
        "roles/storage.objectViewer",
    }
    read = by_role["roles/storage.objectViewer"]["expression"]
    assert f'startsWith("projects/_/buckets/{BUCKET}/")' in read
    assert 'startsWith("projects/_/buckets/gcf-v2-sources-")' in read
    assert "models" not in read
    account = region.one(tokens.FUNCTION)["buildConfig"]["serviceAccount"]
    assert account.endswith(f"/spillway-us-central1-build@{PROJECT}.iam.gserviceaccount.com")


def test_the_functions_bucket_is_private_and_goes_with_the_stack(region: Deployment) -> None:
    bucket = region.one(tokens.BUCKET, "scaling-function")
    assert (bucket["name"], bucket["publicAccessPrevention"]) == (BUCKET, "enforced")
    assert bucket["uniformBucketLevelAccess"] is True, "conditions need it"
    assert bucket["forceDestroy"] is True


def test_people_hear_when_on_demand_takes_over_and_when_the_function_fails(region: Deployment) -> None:
    filters = {
        name: alert["conditions"][0]["conditionMatchedLog"]["filter"]
        for name, alert in region.all(tokens.ALERT_POLICY).items()
        if name.startswith("scaling-")
    }
    assert set(filters) == {"scaling-fallback-out", "scaling-fallback-failed"}
    assert f'service_name="{region.one(tokens.FUNCTION)["name"]}"' in filters["scaling-fallback-out"]
    assert f'job_id="{region.one(tokens.JOB)["name"]}"' in filters["scaling-fallback-failed"]
    for alert in region.all(tokens.ALERT_POLICY).values():
        assert len(alert["notificationChannels"]) == 2


def test_what_the_function_logs_when_it_orders_is_what_the_alert_waits_for(region: Deployment) -> None:
    from infra.function.loop import Group, run

    class Cloud:
        shrinks = False
        text: str | None = None
        sizes: dict[str, int] = {}  # noqa: RUF012

        def group(self, name: str) -> Group:
            return Group(self.sizes.get(name, 1))

        def resize(self, name: str, seen: Group, size: int, minute: int) -> None:
            self.sizes[name] = size

        def clear(self, name: str, instances: tuple[str, ...]) -> None: ...
        def load(self, minutes: int, spot: Group, on_demand: Group) -> list[float | None]:
            return []

        def recall(self) -> tuple[str | None, str | None]:
            return self.text, None

        def save(self, text: str, version: str | None) -> None:
            self.text = text

        def publish(self, values: Any, minute: int) -> None: ...

    lines: list[str] = []
    cloud = Cloud()
    for minute in range(60):
        run(settings(region), cloud, minute, lines.append)
    ordered = [line for line in map(json.loads, lines) if line["reason"] in ("spot-missing", "spot-late")]
    assert ordered
    assert all(line["event"] == "fallback" for line in ordered)
    text = region.one(tokens.ALERT_POLICY, "scaling-fallback-out")["conditions"][0]["conditionMatchedLog"]["filter"]
    assert 'jsonPayload.event="fallback" AND jsonPayload.reason=("spot-missing" OR "spot-late")' in text
