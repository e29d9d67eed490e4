"""App Service plans and function apps of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import Region, account, function_app, inputs, plan, put

CONFIG = "functionAppConfig"


def ready() -> Region:
    """A region with a plan and the container of the code."""
    cloud = Region()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account())
    cloud.create(tokens.CONTAINER, **inputs(accountName=made["name"], containerName="code"))
    cloud.create(tokens.PLAN, **plan())
    return cloud


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (tokens.PLAN, plan(), "name", "a_b", "name: expected 1 to 60"),
        (tokens.PLAN, plan(), "sku", None, "sku.name: is required"),
        (tokens.PLAN, plan(), "sku.name", "FC2", "sku.name: expected one of F1"),
        (tokens.PLAN, plan(), "sku.tier", "Dynamic", "sku.tier: expected FlexConsumption"),
        (tokens.PLAN, plan(), "reserved", None, "reserved: has to be true"),
        (tokens.WEB_APP, function_app(), "name", "-spillway", "name: expected 2 to 60"),
        (tokens.WEB_APP, function_app(), "serverFarmId", None, "serverFarmId: is required"),
        (tokens.WEB_APP, function_app(), "kind", "function", "kind: expected kinds such as functionapp,linux"),
        (tokens.WEB_APP, function_app(), f"{CONFIG}.runtime.version", "3.9", f"{CONFIG}.runtime.version: expected one"),
        (
            tokens.WEB_APP,
            function_app(),
            f"{CONFIG}.runtime.name",
            "rust",
            f"{CONFIG}.runtime.name: expected one of py",
        ),
        (
            tokens.WEB_APP,
            function_app(),
            f"{CONFIG}.scaleAndConcurrency.instanceMemoryMB",
            1024,
            f"{CONFIG}.scaleAndConcurrency.instanceMemoryMB: expected one of 512, 2048, 4096",
        ),
        (
            tokens.WEB_APP,
            function_app(),
            f"{CONFIG}.scaleAndConcurrency.maximumInstanceCount",
            1,
            f"{CONFIG}.scaleAndConcurrency.maximumInstanceCount: expected 40 to 1,000",
        ),
        (
            tokens.WEB_APP,
            function_app(),
            f"{CONFIG}.deployment.storage.value",
            "code",
            f"{CONFIG}.deployment.storage.value: expected https://ACCOUNT.blob.core.windows.net/CONTAINER",
        ),
        (
            tokens.WEB_APP,
            function_app(),
            f"{CONFIG}.deployment.storage.authentication.userAssignedIdentityResourceId",
            None,
            f"{CONFIG}.deployment.storage.authentication.userAssignedIdentityResourceId: is required",
        ),
        (
            tokens.WEB_APP,
            function_app(),
            "siteConfig.minTlsVersion",
            "TLS1_2",
            "siteConfig.minTlsVersion: expected one",
        ),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_an_app_reads_like_one_of_azure() -> None:
    made = ready().create(tokens.WEB_APP, **function_app())
    assert made.id == region.APP_ID
    assert (made["defaultHostName"], made["location"]) == ("spillway-westus2.azurewebsites.net", "West US 2")
    assert "appSettings" not in made["siteConfig"]
    assert set(made["identity"]["userAssignedIdentities"]) == {region.IDENTITY_ID}


@pytest.mark.parametrize(
    "setting", ["FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE", "FUNCTIONS_EXTENSION_VERSION"]
)
def test_settings_of_older_plans_are_refused(setting: str) -> None:
    changed = put(function_app(), "siteConfig.appSettings", [{"name": setting, "value": "1"}])
    with refused("BadRequest", f"(Site.SiteConfig.AppSettings.{setting}) for Flex Consumption sites is invalid"):
        ready().create(tokens.WEB_APP, **changed)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "functionapp", "has to be of kind functionapp,linux"),
        (f"{CONFIG}.runtime", None, "Site.FunctionAppConfig.runtime.name is invalid"),
        (
            f"{CONFIG}.deployment.storage.value",
            f"https://{account()['accountName']}.blob.core.windows.net/other",
            "The container other of the deployment storage does not exist.",
        ),
        ("identity", None, "of the deployment storage is not assigned to the app"),
    ],
)
def test_a_flex_app_has_all_that_it_needs(path: str, value: Any, message: str) -> None:
    with refused("BadRequest", message):
        ready().create(tokens.WEB_APP, **put(function_app(), path, value))


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("siteConfig.ftpsState", "Disabled", "Site.SiteConfig.ftpsState"),
        ("siteConfig.alwaysOn", False, "Site.SiteConfig.alwaysOn"),
        ("siteConfig.netFrameworkVersion", "v4.6", "Site.SiteConfig.netFrameworkVersion"),
        ("siteConfig.linuxFxVersion", "Python|3.12", "Site.SiteConfig.linuxFxVersion"),
        ("containerSize", 2048, "Site.containerSize"),
    ],
)
def test_properties_of_older_plans_are_refused(path: str, value: Any, named: str) -> None:
    cloud = ready()
    with refused("BadRequest", f"({named}) for Flex Consumption sites is invalid"):
        cloud.create(tokens.WEB_APP, **put(function_app(), path, value))


def test_a_flex_plan_has_one_app_and_stays_while_it_has() -> None:
    cloud = ready()
    with refused("NotFound", "serverfarms/other referenced by"):
        cloud.create(tokens.WEB_APP, **function_app(serverFarmId=region.PLAN_ID.replace("/fallback", "/other")))
    cloud.create(tokens.WEB_APP, **function_app())
    with refused("BadRequest", "has an app already"):
        cloud.create(tokens.WEB_APP, **function_app(name="spillway-again"))
    with refused("Conflict", "cannot be deleted"):
        cloud.delete(cloud.all(tokens.PLAN)[0])


def test_a_system_identity_is_a_principal_and_stays_the_same() -> None:
    cloud = ready()
    both = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": [region.IDENTITY_ID]}
    made = cloud.create(tokens.WEB_APP, **function_app(identity=both))
    principal = made["identity"]["principalId"]
    assert cloud.update(made, tags={"a": "b"})["identity"]["principalId"] == principal
    cloud.create(tokens.ROLE_ASSIGNMENT, **region.assignment(region.SUBNET_ID, principal))
