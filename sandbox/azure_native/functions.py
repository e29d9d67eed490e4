"""App Service plans and function apps, above all those of Flex Consumption.

Sources, by the name used below:
flex: https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan
settings: https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
template: quickstarts/microsoft.web/function-app-flex-managed-identities in
https://github.com/Azure/azure-quickstart-templates
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.compute_disks import deep
from sandbox.azure_native.identity import shown_identity
from sandbox.azure_native.places import locations, normal
from sandbox.azure_native.regional import Regional, Use, now, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, one_of, shown
from sandbox.values import UNKNOWN

API_VERSION: Final = "2025-05-01"
PLANS_MAX: Final = 100
"""https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-app-service-limits"""
PLAN_TYPE: Final = "Microsoft.Web/serverfarms"
FLEX: Final = "FC1"
_TIERS: Final[Mapping[str, str]] = {
    "F1": "Free", "B1": "Basic", "B2": "Basic", "B3": "Basic", "S1": "Standard", "S2": "Standard", "S3": "Standard",
    "P0v3": "Premium0V3", "P1v3": "PremiumV3", "P2v3": "PremiumV3", "P3v3": "PremiumV3", "Y1": "Dynamic",
    "EP1": "ElasticPremium", "EP2": "ElasticPremium", "EP3": "ElasticPremium", FLEX: "FlexConsumption",
}  # fmt: skip
MEMORY_MB: Final = (512, 2048, 4096)  # flex
INSTANCES_LOW, INSTANCES_HIGH = 40, 1000  # template, flex
_RUNTIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "python": ("3.10", "3.11", "3.12", "3.13"),
    "node": ("20", "22"),
    "java": ("11", "17", "21"),
    "dotnet-isolated": ("8.0", "9.0", "10"),
    "powershell": ("7.4",),
    "custom": ("1.0",),
}
NOT_IN_FLEX: Final = frozenset((
    "ENABLE_ORYX_BUILD", "FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY", "FUNCTIONS_WORKER_PROCESS_COUNT", "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "SCM_DO_BUILD_DURING_DEPLOYMENT", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE", "WEBSITE_DNS_SERVER", "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL", "XDT_MicrosoftApplicationInsights_Java", "XDT_MicrosoftApplicationInsights_NodeJS",
))  # fmt: skip
"""App settings that a Flex Consumption app refuses (settings)."""
SITE_NOT_IN_FLEX: Final = ("containerSize",)
CONFIG_NOT_IN_FLEX: Final = (
    "alwaysOn", "ftpsState", "functionAppScaleLimit", "functionsRuntimeScaleMonitoringEnabled", "javaContainer",
    "javaContainerVersion", "javaVersion", "linuxFxVersion", "netFrameworkVersion", "powerShellVersion",
    "preWarmedInstanceCount", "use32BitWorkerProcess", "windowsFxVersion",
)  # fmt: skip
"""Properties of an app, and of its site config, that are not valid there (settings). The SDK's SiteConfigArgs sets
netFrameworkVersion by itself: https://github.com/pulumi/pulumi-azure-native/issues/4168"""


@AZURE_NATIVE.kind
class AppServicePlan(Regional):
    """https://learn.microsoft.com/rest/api/appservice/app-service-plans/create-or-update"""

    token = tokens.PLAN
    namespace = "Microsoft.Web"
    type_name = "serverfarms"
    name_property = "name"
    name_rule = (r"[A-Za-z0-9-]{1,60}", "1 to 60 letters, digits and hyphens")
    api_version = API_VERSION
    path = ("resourceGroupName", "name")
    # x-ms-mutability in https://github.com/Azure/azure-rest-api-specs, web (reserved, isXenon and hyperV are for
    # creation).
    replace_on = (*path, "location", "reserved", "hyperV", "isXenon")
    autoname = arm.random_name("name")
    changes_on_update = ()

    def rules(self, args: Args) -> Iterable[Fault]:
        sku = args["sku"]
        if sku is None or (isinstance(sku, dict) and sku.get("name") is None):
            yield Fault("sku.name", f"is required, such as {FLEX} for Flex Consumption")
        yield from one_of(args, "sku.name", tuple(_TIERS))
        name = deep(args.values, "sku", "name")
        for path, tier in args.at("sku.tier"):
            if isinstance(name, str) and name in _TIERS and tier != _TIERS[name]:
                yield Fault(path, f"expected {_TIERS[name]}, that of {name}; got {shown(tier)}")
        if name == FLEX and args["reserved"] is not True and args["reserved"] is not UNKNOWN:
            yield Fault("reserved", f"has to be true: {FLEX} is for Linux only")
        if args.get("zoneRedundant") is True and isinstance(name, str) and name in ("F1", "B1", "B2", "B3", "Y1"):
            yield Fault("zoneRedundant", f"is not for {name}")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            refuse_one_more(
                cloud, self.token, self.location_of(args, cloud), "AppServicePlans", PLANS_MAX, "Conflict",
                "App Service plans",
            )  # fmt: skip
        elif (old["sku"]["name"] == FLEX) != (args["sku"]["name"] == FLEX):
            raise CloudError("BadRequest", f"A plan cannot be changed between {FLEX} and other SKUs.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = args["sku"]["name"]
        return {
            **self.common_outputs(args),
            "location": locations()[self.location_of(args, cloud)],
            "geoRegion": locations()[self.location_of(args, cloud)],
            "sku": {
                "name": name,
                "tier": _TIERS[name],
                "size": name,
                "family": re.sub(r"\d.*", "", name),
                **args["sku"],
            },
            "status": "Ready",
            "provisioningState": "Succeeded",
            "resourceGroup": args["resourceGroupName"],
            "subscription": cloud.account,
            "kind": args.get("kind", "functionapp" if name == FLEX else "app"),
        }


def _flex_faults(args: Args) -> Iterator[Fault]:
    """The part of a function app that Flex Consumption reads (flex)."""
    at = "functionAppConfig"
    yield from one_of(args, f"{at}.deployment.storage.type", ("blobContainer",))
    for path, value in args.at(f"{at}.deployment.storage.value"):
        if not _container_of(value):
            yield Fault(path, f"expected https://ACCOUNT.blob.core.windows.net/CONTAINER, got {shown(value)}")
    how = f"{at}.deployment.storage.authentication"
    yield from one_of(
        args, f"{how}.type", ("SystemAssignedIdentity", "UserAssignedIdentity", "StorageAccountConnectionString")
    )
    for path, value in args.at(how):
        if isinstance(value, dict):
            kind = value.get("type")
            for wanted, key in (
                ("UserAssignedIdentity", "userAssignedIdentityResourceId"),
                ("StorageAccountConnectionString", "storageAccountConnectionStringName"),
            ):
                if kind == wanted and value.get(key) is None:
                    yield Fault(f"{path}.{key}", f"is required for {wanted}")
    yield from one_of(args, f"{at}.runtime.name", tuple(_RUNTIMES))
    name = deep(args.values, at, "runtime", "name")
    if isinstance(name, str) and name in _RUNTIMES:
        yield from one_of(args, f"{at}.runtime.version", _RUNTIMES[name])
    yield from one_of(args, f"{at}.scaleAndConcurrency.instanceMemoryMB", MEMORY_MB)
    yield from between(args, f"{at}.scaleAndConcurrency.maximumInstanceCount", INSTANCES_LOW, INSTANCES_HIGH)


def _container_of(url: object) -> tuple[str, str] | None:
    """(account, container) of the address of a container."""
    match = re.fullmatch(r"https://([a-z0-9]{3,24})\.blob\.core\.windows\.net/([a-z0-9-]{3,63})/?", str(url))
    return (match[1], match[2]) if match else None


@AZURE_NATIVE.kind
class WebApp(Regional):
    """Names are global: https://learn.microsoft.com/rest/api/appservice/web-apps/create-or-update"""

    token = tokens.WEB_APP
    namespace = "Microsoft.Web"
    type_name = "sites"
    name_property = "name"
    name_rule = (
        r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
        "2 to 60 letters, digits and hyphens that neither begin nor end with a hyphen",
    )
    api_version = API_VERSION
    path = ("resourceGroupName", "name")
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = (*path, "location", "kind", "reserved", "hyperV", "isXenon")
    autoname = arm.random_name("name")
    reshaped = ("identity",)
    unique = ("name",)
    unique_scope = "global"
    duplicate_code = "Conflict"
    changes_on_update = ("lastModifiedTimeUtc",)
    uses = (
        Use("serverFarmId", tokens.PLAN, PLAN_TYPE, code="NotFound", in_use="Conflict"),
        Use(
            "virtualNetworkSubnetId",
            tokens.SUBNET,
            "Microsoft.Network/virtualNetworks/subnets",
            in_use="InUseSubnetCannotBeDeleted",
        ),
        Use(
            "identity.userAssignedIdentities[*]",
            tokens.IDENTITY,
            "Microsoft.ManagedIdentity/userAssignedIdentities",
            same_location=False,
            code="FailedIdentityOperation",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        if args["serverFarmId"] is None:
            yield Fault("serverFarmId", "is required: the id of an App Service plan")
        for path, value in args.at("kind"):
            known = {"app", "functionapp", "linux", "container", "api", "workflowapp"}
            if not set(str(value).split(",")) <= known:
                yield Fault(path, f"expected kinds such as functionapp,linux; got {shown(value)}")
        yield from _flex_faults(args)
        yield from one_of(args, "siteConfig.minTlsVersion", ("1.0", "1.1", "1.2", "1.3"))
        yield from one_of(args, "siteConfig.ftpsState", ("AllAllowed", "FtpsOnly", "Disabled"))
        seen: set[str] = set()
        for path, name in args.at("siteConfig.appSettings[*].name"):
            if not re.fullmatch(r"[A-Za-z0-9_.:-]+", str(name)):
                yield Fault(
                    path, f"expected letters, digits, periods, colons, hyphens and underscores; got {shown(name)}"
                )
            if str(name) in seen:
                yield Fault(path, f"{name} is given twice")
            seen.add(str(name))

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        plan = arm.find_by_id(cloud, tokens.PLAN, args["serverFarmId"])
        if plan is None:
            return  # of another subscription
        own = old.id if old else self.new_id(args, cloud)
        if plan["sku"]["name"] == FLEX:
            self._judge_flex(args, cloud, plan, own)
        elif args["functionAppConfig"]:
            raise CloudError("BadRequest", f"functionAppConfig is only for apps in a plan of SKU {FLEX}.")

    @staticmethod
    def _judge_flex(args: Args, cloud: Cloud, plan: Resource, own: str) -> None:
        for other in cloud.all(tokens.WEB_APP):
            if arm.same(other["serverFarmId"], plan.id) and not arm.same(other.id, own):
                raise CloudError("BadRequest", f"The Flex Consumption plan {plan.id} has an app already: {other.id}.")
        if "functionapp" not in str(args["kind"]) or "linux" not in str(args["kind"]):
            raise CloudError("BadRequest", "An app in a Flex Consumption plan has to be of kind functionapp,linux.")
        config = args["functionAppConfig"] or {}
        for keys in (("deployment", "storage", "value"), ("runtime", "name"), ("scaleAndConcurrency",)):
            if deep(config, *keys) is None:
                raise CloudError(
                    "BadRequest", f"Site.FunctionAppConfig.{'.'.join(keys)} is invalid. It cannot be null."
                )
        for setting in deep(args.values, "siteConfig", "appSettings") or ():
            if setting.get("name") in NOT_IN_FLEX:
                raise CloudError(
                    "BadRequest",
                    f"The following app setting (Site.SiteConfig.AppSettings.{setting['name']}) for Flex Consumption "
                    "sites is invalid. Please remove or rename it before retrying.",
                )
        site = args["siteConfig"] if isinstance(args["siteConfig"], Mapping) else {}
        given = [f"Site.{key}" for key in SITE_NOT_IN_FLEX if args[key] is not None]
        given += [f"Site.SiteConfig.{key}" for key in CONFIG_NOT_IN_FLEX if site.get(key) is not None]
        if given:
            raise CloudError(
                "BadRequest",
                f"The following property ({given[0]}) for Flex Consumption sites is invalid. Please remove or rename "
                "it before retrying.",
            )
        identity = deep(config, "deployment", "storage", "authentication", "userAssignedIdentityResourceId")
        assigned = deep(args.values, "identity", "userAssignedIdentities") or ()
        if identity is not None and not any(arm.same(identity, id) for id in assigned):
            raise CloudError(
                "BadRequest", f"The identity {identity} of the deployment storage is not assigned to the app."
            )
        found = _container_of(deep(config, "deployment", "storage", "value"))
        for account in cloud.all(tokens.STORAGE_ACCOUNT) if found else ():
            if found and account["name"] == found[0]:
                id = f"{account.id}/blobServices/default/containers/{found[1]}"
                if arm.find_by_id(cloud, tokens.CONTAINER, id) is None:
                    raise CloudError(
                        "BadRequest", f"The container {found[1]} of the deployment storage does not exist."
                    )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = str(args["name"])
        host = f"{name.lower()}.azurewebsites.net"
        plan = arm.find_by_id(cloud, tokens.PLAN, args["serverFarmId"])
        out = {
            **self.common_outputs(args),
            "location": locations()[normal(self.location_of(args, cloud))],
            "kind": args.get("kind", "app"),
            "state": "Running" if args.get("enabled", True) else "Stopped",
            "usageState": "Normal",
            "availabilityState": "Normal",
            "enabled": args.get("enabled", True),
            "httpsOnly": args.get("httpsOnly", False),
            "reserved": "linux" in str(args["kind"]),
            "defaultHostName": host,
            "hostNames": [host],
            "enabledHostNames": [host, f"{name.lower()}.scm.azurewebsites.net"],
            "repositorySiteName": name,
            "resourceGroup": args["resourceGroupName"],
            "lastModifiedTimeUtc": now(),
            "sku": plan["sku"]["tier"] if plan else "",
            "publicNetworkAccess": args.get("publicNetworkAccess", "Enabled"),
        }
        if isinstance(args["siteConfig"], Mapping):
            # Settings and connection strings are told by calls of their own, to those who may list them.
            hidden = ("appSettings", "connectionStrings")
            out["siteConfig"] = {key: value for key, value in args["siteConfig"].items() if key not in hidden}
        if args["identity"]:
            out["identity"] = shown_identity(args["identity"], cloud, old)
        return out
