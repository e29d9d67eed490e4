"""Functions, scheduler jobs, alerts, budgets and data sources of the stand-in Google Cloud."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import GCP, tokens
from sandbox.gcp.api import project_number
from sandbox.gcp.scheduler import schedule_fault
from sandbox.kinds import Args, CloudError
from tests.support.aws_region import refused
from tests.support.gcp import ARCHIVE, PROJECT, check_faults, empty, everything, region

BUILD: dict[str, Any] = {"runtime": "python312", "entryPoint": "run", "source": {"storageSource": ARCHIVE}}
FUNCTION: dict[str, Any] = {"name": "fallback", "location": "us-central1", "buildConfig": BUILD}
JOB: dict[str, Any] = {
    "name": "tick",
    "schedule": "* * * * *",
    "httpTarget": {"uri": "https://example.com/run", "oidcToken": {"serviceAccountEmail": f"a@{PROJECT}.iam"}},
}
FILTER = 'metric.type="custom.googleapis.com/spillway/gap" AND resource.type="global"'
THRESHOLD: dict[str, Any] = {"filter": FILTER, "comparison": "COMPARISON_GT", "duration": "300s"}
ALERT: dict[str, Any] = {
    "displayName": "gap",
    "combiner": "OR",
    "conditions": [{"displayName": "gap", "conditionThreshold": THRESHOLD}],
}
BUDGET: dict[str, Any] = {
    "billingAccount": "012345-6789AB-CDEF01",
    "amount": {"specifiedAmount": {"units": "5000", "currencyCode": "USD"}},
    "thresholdRules": [{"thresholdPercent": 0.8}],
}


def service(**config: Any) -> dict[str, Any]:
    return {"serviceConfig": config}


def condition(**change: Any) -> dict[str, Any]:
    return {"conditions": [{"displayName": "gap", "conditionThreshold": {**THRESHOLD, **change}}]}


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (tokens.FUNCTION, FUNCTION, {"name": "Fallback"}, "name: expected 1 to 63 lower-case letters"),
        (tokens.FUNCTION, FUNCTION, {"location": "eu"}, "location: expected a region"),
        (tokens.FUNCTION, FUNCTION, {"buildConfig": None}, "buildConfig: is required"),
        (tokens.FUNCTION, FUNCTION, {"buildConfig": {**BUILD, "runtime": "python3"}}, "buildConfig.runtime: expected"),
        (tokens.FUNCTION, FUNCTION, {"buildConfig": {"runtime": "python312"}}, "buildConfig.entryPoint: is required"),
        (tokens.FUNCTION, FUNCTION, service(timeoutSeconds=3601), "serviceConfig.timeoutSeconds: expected 1 to 3,600"),
        (tokens.FUNCTION, FUNCTION, service(availableMemory="1024"), "serviceConfig.availableMemory: expected an"),
        (
            tokens.FUNCTION,
            FUNCTION,
            service(availableMemory="16Gi", availableCpu="1"),
            "serviceConfig.availableMemory: expected at most 4 GiB with 1 CPU",
        ),
        (
            tokens.FUNCTION,
            FUNCTION,
            service(maxInstanceRequestConcurrency=2),
            "serviceConfig.maxInstanceRequestConcurrency: more than 1 needs availableCpu",
        ),
        (
            tokens.FUNCTION,
            FUNCTION,
            service(minInstanceCount=2, maxInstanceCount=1),
            "serviceConfig.minInstanceCount: expected at most maxInstanceCount (1)",
        ),
        (
            tokens.FUNCTION,
            FUNCTION,
            service(environmentVariables={"PORT": "80"}),
            "serviceConfig.environmentVariables: PORT is reserved",
        ),
        (tokens.JOB, JOB, {"schedule": "* * * *"}, "schedule: expected five fields"),
        (tokens.JOB, JOB, {"schedule": None}, "schedule: is required"),
        (tokens.JOB, JOB, {"timeZone": "Berlin"}, "timeZone: expected a time zone"),
        (tokens.JOB, JOB, {"attemptDeadline": "3600s"}, "attemptDeadline: expected 15s to 1800s"),
        (tokens.JOB, JOB, {"httpTarget": None}, "httpTarget: one of httpTarget"),
        (tokens.JOB, JOB, {"retryConfig": {"retryCount": 6}}, "retryConfig.retryCount: expected 0 to 5"),
        (
            tokens.JOB,
            JOB,
            {"httpTarget": {**JOB["httpTarget"], "body": "not base64!"}},
            "httpTarget.body: expected base64",
        ),
        (
            tokens.JOB,
            JOB,
            {"httpTarget": {**JOB["httpTarget"], "oauthToken": {"serviceAccountEmail": "a"}}},
            "httpTarget.oidcToken: conflicts with oauthToken",
        ),
        (tokens.ALERT_POLICY, ALERT, {"combiner": "XOR"}, "combiner: expected one of AND, OR"),
        (
            tokens.ALERT_POLICY,
            ALERT,
            condition(duration="90s"),
            "conditions[0].conditionThreshold.duration: expected a",
        ),
        (tokens.ALERT_POLICY, ALERT, condition(comparison="GT"), "conditions[0].conditionThreshold.comparison"),
        (
            tokens.ALERT_POLICY,
            ALERT,
            condition(filter='metric.type="a"'),
            "conditions[0].conditionThreshold.filter: has to name one resource.type",
        ),
        (
            tokens.ALERT_POLICY,
            ALERT,
            condition(aggregations=[{"perSeriesAligner": "ALIGN_MAX"}]),
            "conditions[0].conditionThreshold.aggregations[0].alignmentPeriod: is required",
        ),
        (
            tokens.ALERT_POLICY,
            ALERT,
            {"conditions": [{"displayName": "a", "conditionMatchedLog": {"filter": "x"}}]},
            "alertStrategy.notificationRateLimit: is required with conditionMatchedLog",
        ),
        (tokens.ALERT_POLICY, ALERT, {"notificationChannels": ["ops"]}, "notificationChannels[0]: expected projects/p"),
        (
            tokens.NOTIFICATION_CHANNEL,
            {"type": "email", "labels": {"email_address": "a@example.com"}},
            {"labels": {"email": "a@example.com"}},
            "labels.email_address: is required of type email",
        ),
        (tokens.BUDGET, BUDGET, {"billingAccount": "012345"}, "billingAccount: expected a billing account"),
        (tokens.BUDGET, BUDGET, {"amount": {}}, "amount: expected one of specifiedAmount"),
        (tokens.BUDGET, BUDGET, {"budgetFilter": {"projects": [f"projects/{PROJECT}"]}}, "budgetFilter.projects[0]"),
        (tokens.BUDGET, BUDGET, {"allUpdatesRule": {}}, "allUpdatesRule: expected pubsubTopic"),
        (tokens.PROJECT_SERVICE, {"service": "compute.googleapis.com"}, {"service": "compute"}, "service: expected"),
    ],
)
def test_values_that_the_api_refuses_are_faults(
    token: str, good: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    check_faults(token, good, change, expected)


@pytest.mark.parametrize(
    "text", ["* * * * *", "*/5 9-17 * * MON-FRI", "0 0 1,15 JAN *", "every 1 minutes", "0 3 * * 7"]
)
def test_schedules_that_the_service_takes(text: str) -> None:
    assert schedule_fault(text) == ""


@pytest.mark.parametrize("text", ["60 * * * *", "* 24 * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "@hourly", 5])
def test_schedules_that_it_does_not(text: object) -> None:
    assert schedule_fault(text) != ""


def test_a_function_is_built_from_an_archive_that_exists_and_runs_as_a_service() -> None:
    net = region()
    with refused("notFound", "Source bucket"):
        net.cloud.create(tokens.FUNCTION, **FUNCTION)
    net.cloud.create(tokens.BUCKET, name=ARCHIVE["bucket"], location="us-central1")
    with refused("invalidArgument", "fallback.zip"):
        net.cloud.create(tokens.FUNCTION, **FUNCTION)
    net.cloud.create(tokens.BUCKET_OBJECT, bucket=ARCHIVE["bucket"], name=ARCHIVE["object"], content="zip")
    made = net.cloud.create(tokens.FUNCTION, **FUNCTION)
    assert made["url"] == f"https://us-central1-{PROJECT}.cloudfunctions.net/fallback"
    assert made["serviceConfig"]["service"] == f"projects/{PROJECT}/locations/us-central1/services/fallback"
    assert made["serviceConfig"]["uri"].startswith("https://fallback-")
    with refused("notFound", "nobody@"):
        config = {"serviceAccountEmail": f"nobody@{PROJECT}.iam.gserviceaccount.com"}
        net.cloud.update(made, serviceConfig=config)
    with refused("notFound", "secrets/none"):
        entry = {"key": "A", "projectId": PROJECT, "secret": "none", "version": "latest"}
        net.cloud.update(made, serviceConfig={"secretEnvironmentVariables": [entry]})


def test_an_invoker_is_of_a_service_that_exists() -> None:
    net = region()
    grant = {"location": "us-central1", "role": "roles/run.invoker", "member": net.account["member"]}
    with refused("notFound", "fallback"):
        net.cloud.create(tokens.RUN_IAM_MEMBER, service="fallback", **grant)


def test_a_job_calls_as_an_account_that_exists() -> None:
    net = region()
    with refused("notFound", "oidcToken"):
        net.cloud.create(tokens.JOB, **JOB)
    token = {"serviceAccountEmail": net.account["email"]}
    job = net.cloud.create(tokens.JOB, **{**JOB, "httpTarget": {"uri": "https://example.com", "oidcToken": token}})
    assert job.id == f"projects/{PROJECT}/locations/us-central1/jobs/tick"
    assert job["state"] == "ENABLED"


def test_a_channel_that_a_policy_uses_stays_unless_it_is_forced() -> None:
    cloud = everything()
    channel = cloud.all(tokens.NOTIFICATION_CHANNEL)[0]
    with refused("failedPrecondition", "in use by"):
        cloud.delete(channel)
    cloud.delete(cloud.update(channel, forceDelete=True))


def test_a_budget_is_of_projects_by_their_number() -> None:
    cloud = empty()
    with refused("invalidArgument", "not in the billing account"):
        cloud.create(tokens.BUDGET, **BUDGET, budgetFilter={"projects": ["projects/1"]})
    mine = f"projects/{project_number(PROJECT)}"
    made = cloud.create(tokens.BUDGET, **BUDGET, budgetFilter={"projects": [mine]})
    assert made.id == f"billingAccounts/012345-6789AB-CDEF01/budgets/{made['name']}"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"family": "spillway-vllm"}, "spillway-vllm-2026-11-1"),
        ({"name": "spillway-vllm-2026-10-2"}, "spillway-vllm-2026-10-2"),
        (
            {"filter": "labels.spillway-family=spillway-vllm AND labels.spillway-version=2026-10-2"},
            "spillway-vllm-2026-10-2",
        ),
        ({"filter": "family = spillway-vllm", "mostRecent": True}, "spillway-vllm-2026-11-1"),
        ({"filter": "name:spillway-*-2026-10-2"}, "spillway-vllm-2026-10-2"),
        (
            {"family": "ubuntu-2404-lts-amd64", "project": "ubuntu-os-cloud"},
            "ubuntu-2404-noble-amd64-v20261105",
        ),
    ],
)
def test_an_image_is_found_by_name_family_or_filter(given: dict[str, Any], name: str) -> None:
    found = GCP.invokes["gcp:compute/getImage:getImage"](Args(given), empty())
    assert found["name"] == name
    assert found["selfLink"].endswith(f"/global/images/{name}")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"family": "none"}, "images/family/none' was not found"),
        ({"filter": "family=spillway-vllm"}, "returned 2 images"),
        ({}, "exactly one of name, family and filter"),
        ({"filter": "what is this"}, "Invalid list filter expression"),
    ],
)
def test_an_image_that_cannot_be_told_is_an_error(given: dict[str, Any], text: str) -> None:
    with pytest.raises(CloudError, match=text):
        GCP.invokes["gcp:compute/getImage:getImage"](Args(given), empty())


def test_zones_and_the_project_are_answered() -> None:
    zones = GCP.invokes["gcp:compute/getZones:getZones"](Args({"region": "us-central1"}), empty())["names"]
    assert zones == [f"us-central1-{letter}" for letter in "abcf"]
    project = GCP.invokes["gcp:organizations/getProject:getProject"](Args({}), empty())
    assert (project["projectId"], project["number"]) == (PROJECT, project_number(PROJECT))
    with pytest.raises(CloudError, match="forbidden"):
        GCP.invokes["gcp:organizations/getProject:getProject"](Args({"projectId": "another-one"}), empty())
