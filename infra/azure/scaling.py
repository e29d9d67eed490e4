"""What changes the size of the pools: the fallback from spot to on-demand and the load, in one small function.

Azure has nothing like metric math that steps a scale set by another's gap, so `infra/function/` runs here once a minute
with the rule of `infra/fallback.py`; it alone fills the sets, which are made empty. A stack file's target, floor and
thresholds are its environment: changing them changes the function's settings and nothing else.

Flex Consumption, as the older Linux Consumption plan ends in 2028 and never had identity for its package:
https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan. No Scheduled Events: they tell a machine of its
own eviction 30 s before, the nodes drain on them, and the gap that they leave is seen by the next run in any case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure import names
from infra.azure.common import Scope
from infra.azure.identity import METRICS_PUBLISHER
from infra.azure.rights import Holder, assign
from infra.function import package, settings

if TYPE_CHECKING:
    from infra.sections import Fallback, PoolSizes
    from infra.sections import Scaling as ScalingConfig

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
BLOB_OWNER: Final = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
"""Storage Blob Data Owner, which the host of functions needs on the account that it keeps its own state in:
https://learn.microsoft.com/azure/azure-functions/functions-reference#connecting-to-host-storage-with-an-identity"""

ACTIONS: Final = (
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
    "Microsoft.Insights/Metrics/Read",
)
"""What the function does to a scale set (infra/function/azure.py): read it and its machines, set its capacity, delete
machines that failed, read the nodes' metrics.

No right to join subnet, balancer or identity: Azure asks for these on what a request says, and the function's says
sku.capacity alone. Whoever sends the whole set needs them
(https://github.com/Azure/aad-pod-identity/pull/550), whoever sends a part needs them for that part
(https://github.com/Azure/aad-pod-identity/issues/613)."""
DATA_ACTIONS: Final = ("Microsoft.Insights/Metrics/Write",)
"""The function's own two metrics, of the on-demand set."""

DEPLOYMENTS: Final = "deployments"
STATE: Final = "state"
STATE_BLOB: Final = "fallback.json"
PACKAGE_TAG: Final = "spillway-package"
"""Tag of the app: digest of the package that belongs in it. A new one is what makes `up` publish again."""
MEMORY_MB: Final = 2048
"""Smaller instances are not taken everywhere: https://github.com/Azure/azure-rest-api-specs/issues/40898"""
INSTANCES: Final = 40
"""The least that a plan can be limited to; a timer never has more than one."""
LOG_DAYS: Final = 30
"""Free of charge: https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#log-data-retention"""
LOG_GB_A_DAY: Final = 1
"""A line a minute is a few MB a day; this stops what runs wild."""
FAILED_RUNS: Final = 5
"""Of the 15 of a quarter of an hour: one or two are throttling, and the next run makes up for them."""
SEVERITY: Final = 1
"""Error: 0 critical to 4 verbose."""


@dataclass(frozen=True, slots=True)
class ScalingArgs:
    """What scales what.

    group: the resource group's name, known once it stands. pools, fallback, load: sections of the stack file. zones: of
    the region; with any, the function's state is kept in three of them. spot_group, on_demand_group: scale sets by
    name; *_group_id: by id, as outputs, so that rights wait for them. notify: action group that hears of runs that
    fail. package: the function's archive
    (`infra.function.package.archive`). patience: asked when a role assignment is
    refused. publish: puts the archive into the app once that stands, and before it gets the tag of another one. Both
    are None where there is no engine to call them.
    """

    scope: Scope
    group: pulumi.Input[str]
    pools: PoolSizes
    fallback: Fallback
    load: ScalingConfig
    zones: tuple[str, ...]
    spot_group: str
    on_demand_group: str
    spot_group_id: pulumi.Input[str]
    on_demand_group_id: pulumi.Input[str]
    notify: pulumi.Input[str]
    package: bytes
    patience: pulumi.ErrorHook | None = None
    publish: Callable[[pulumi.ResourceHookArgs], Awaitable[None]] | None = None


class Scaling(pulumi.ComponentResource):
    """The fallback function of one region with its identity, rights, storage and log."""

    app: pulumi.Output[str]
    """The function app, by name."""

    def __init__(self, name: str, args: ScalingArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Scaling", name, None, opts)
        self._name, self._args = name, args
        self._scope = scope = args.scope
        self._child = child = ResourceOptions(parent=self)
        identity = azure.managedidentity.UserAssignedIdentity(
            f"{name}-fallback",
            resource_name_=scope.name("fallback"),
            resource_group_name=args.group,
            location=scope.region,
            tags=scope.tags("scaling"),
            opts=child,
        )
        storage, containers = self._storage()
        insights = self._log()
        rights = self._rights(Holder(scope, "fallback", identity), storage, insights)
        plan = azure.web.AppServicePlan(
            f"{name}-fallback",
            name=scope.name("fallback"),
            resource_group_name=args.group,
            location=scope.region,
            kind="functionapp",
            reserved=True,  # Linux, says the API
            sku=azure.web.SkuDescriptionArgs(name="FC1", tier="FlexConsumption"),
            tags=scope.tags("scaling"),
            opts=child,
        )
        app = azure.web.WebApp(
            f"{name}-fallback",
            name=names.function_app(scope.stack, scope.account),
            resource_group_name=args.group,
            location=scope.region,
            kind="functionapp,linux",
            server_farm_id=plan.id,
            https_only=True,
            identity=azure.web.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
            function_app_config=azure.web.FunctionAppConfigArgs(
                deployment=azure.web.FunctionsDeploymentArgs(
                    storage=azure.web.FunctionsDeploymentStorageArgs(
                        type="blobContainer",
                        value=storage.name.apply(
                            lambda account: f"https://{account}.blob.core.windows.net/{DEPLOYMENTS}"
                        ),
                        authentication=azure.web.FunctionsDeploymentStorageAuthenticationArgs(
                            type="UserAssignedIdentity", user_assigned_identity_resource_id=identity.id
                        ),
                    )
                ),
                runtime=azure.web.FunctionsRuntimeArgs(name="python", version=package.PYTHON),
                scale_and_concurrency=azure.web.FunctionsScaleAndConcurrencyArgs(
                    instance_memory_mb=MEMORY_MB, maximum_instance_count=INSTANCES
                ),
            ),
            # As a map: SiteConfigArgs adds a .NET version of its own, which Flex Consumption refuses.
            # https://github.com/pulumi/pulumi-azure-native/issues/4168
            site_config={
                "min_tls_version": "1.2",
                "app_settings": [
                    {"name": key, "value": value}
                    for key, value in sorted(self._settings(identity, storage, insights).items())
                ],
            },
            tags=scope.tags("scaling") | {PACKAGE_TAG: hashlib.sha256(args.package).hexdigest()},
            opts=ResourceOptions(parent=self, depends_on=[*containers, *rights], hooks=self._publishing(new=False)),
        )
        # Who publishes has an identity: no user and password for it.
        # https://learn.microsoft.com/azure/app-service/configure-basic-auth-disable
        azure.web.WebAppFtpAllowed(
            f"{name}-ftp", name=app.name, resource_group_name=args.group, allow=False, opts=child
        )
        azure.web.WebAppScmAllowed(
            f"{name}-scm",
            name=app.name,
            resource_group_name=args.group,
            allow=False,
            opts=ResourceOptions(parent=self, hooks=self._publishing(new=True)),
        )
        self._tell(insights)
        self.app = app.name
        self.register_outputs({"app": self.app})

    def _storage(self) -> tuple[azure.storage.StorageAccount, list[pulumi.Resource]]:
        """An account of the function's own: its package, what it remembers, and what its host keeps. No keys."""
        args, scope = self._args, self._scope
        account = azure.storage.StorageAccount(
            f"{self._name}-fallback",
            account_name=names.function_storage(scope.stack, scope.account),
            resource_group_name=args.group,
            location=scope.region,
            kind="StorageV2",
            # In the zones that are left when one is lost, which is just when it is needed.
            sku=azure.storage.SkuArgs(name="Standard_ZRS" if args.zones else "Standard_LRS"),
            access_tier="Hot",
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            # The function is in no network of the region's, so it comes from anywhere; only its identity gets in.
            public_network_access="Enabled",
            tags=scope.tags("scaling"),
            opts=self._child,
        )
        return account, [
            azure.storage.BlobContainer(
                f"{self._name}-{container}",
                account_name=account.name,
                container_name=container,
                resource_group_name=args.group,
                public_access="None",
                opts=self._child,
            )
            for container in (DEPLOYMENTS, STATE)
        ]

    def _log(self) -> azure.applicationinsights.Component:
        """Where the function's line of every minute goes."""
        args, scope = self._args, self._scope
        workspace = azure.operationalinsights.Workspace(
            f"{self._name}-log",
            workspace_name=scope.name("log"),
            resource_group_name=args.group,
            location=scope.region,
            sku=azure.operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=LOG_DAYS,
            workspace_capping=azure.operationalinsights.WorkspaceCappingArgs(daily_quota_gb=LOG_GB_A_DAY),
            tags=scope.tags("scaling"),
            opts=self._child,
        )
        return azure.applicationinsights.Component(
            f"{self._name}-log",
            resource_name_=scope.name("fallback"),
            resource_group_name=args.group,
            location=scope.region,
            kind="web",
            application_type="web",
            workspace_resource_id=workspace.id,
            # Its connection string names it, and lets nobody in.
            # https://learn.microsoft.com/azure/azure-monitor/app/azure-ad-authentication
            disable_local_auth=True,
            tags=scope.tags("scaling"),
            opts=self._child,
        )

    def _rights(
        self,
        holder: Holder,
        storage: azure.storage.StorageAccount,
        insights: azure.applicationinsights.Component,
    ) -> list[pulumi.Resource]:
        args, scope, name = self._args, self._scope, self._name
        guid = names.function_role(scope.stack, scope.account)
        role = azure.authorization.RoleDefinition(
            f"{name}-fallback",
            scope=pulumi.Output.from_input(args.group).apply(lambda _: scope.group_id),
            role_definition_id=guid,
            # One of its name in the directory, whatever subscription it is for.
            role_name=f"{scope.name('fallback')} in {scope.account}",
            role_type="CustomRole",
            description="What the fallback function does to the two scale sets of its region",
            assignable_scopes=[pulumi.Output.from_input(args.group).apply(lambda _: scope.group_id)],
            permissions=[azure.authorization.PermissionArgs(actions=list(ACTIONS), data_actions=list(DATA_ACTIONS))],
            opts=self._child,
        )
        pools: Mapping[str, pulumi.Input[str]] = {"spot": args.spot_group_id, "on-demand": args.on_demand_group_id}
        told = [
            *((pool, id, pool, guid, f"Size of the {pool} pool") for pool, id in pools.items()),
            ("storage", storage.id, "function", BLOB_OWNER, "Package and state"),
            ("log", insights.id, "log", METRICS_PUBLISHER, "The function's log"),
        ]
        return [
            assign(
                f"{name}-{label}",
                holder,
                where,
                place,
                right,
                why,
                parent=self,
                after=role if right == guid else None,
                patience=args.patience,
            )
            for label, where, place, right, why in told
        ]

    def _settings(
        self,
        identity: azure.managedidentity.UserAssignedIdentity,
        storage: azure.storage.StorageAccount,
        insights: azure.applicationinsights.Component,
    ) -> dict[str, pulumi.Input[str]]:
        """The app's environment: the host's part, and `SPILLWAY_*` as infra/function/settings.py reads it."""
        args, scope = self._args, self._scope
        own: dict[str, pulumi.Input[str]] = {
            "subscription": scope.account,
            "resource_group": scope.group,
            "location": scope.region,
            "identity": identity.client_id,
            "spot_group": args.spot_group,
            "on_demand_group": args.on_demand_group,
            "state": storage.name.apply(
                lambda account: f"https://{account}.blob.core.windows.net/{STATE}/{STATE_BLOB}"
            ),
        }
        return {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": insights.connection_string,
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING": identity.client_id.apply(
                lambda id: f"ClientId={id};Authorization=AAD"
            ),
            "AzureWebJobsStorage__accountName": storage.name,
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": identity.client_id,
            **settings.environment(
                stack=scope.stack,
                pools=args.pools,
                fallback=args.fallback,
                scaling=args.load,
                dry_run=args.fallback.dry_run,
            ),
            **{settings.variable(key): value for key, value in own.items()},
        }

    def _publishing(self, *, new: bool) -> pulumi.ResourceHookBinding | None:
        """Before, as what fails then is not in the state and the next `up` tries it again: a new app is published to
        once what comes after it is to be made, one with another package before it gets that one's tag."""
        publish = self._args.publish
        if publish is None:
            return None
        hook = pulumi.ResourceHook(f"{self._name}-publish-{'new' if new else 'changed'}", publish)
        return pulumi.ResourceHookBinding(before_create=[hook] if new else None, before_update=None if new else [hook])

    def _tell(self, insights: azure.applicationinsights.Component) -> None:
        """People hear of runs that fail: then nobody sees a gap, let alone fills it."""
        args, scope = self._args, self._scope
        azure.monitor.MetricAlert(
            f"{self._name}-failing",
            rule_name=scope.name("fallback-failing"),
            description="The fallback function fails: sizes stay as they are, whatever the cloud takes away",
            resource_group_name=args.group,
            location="global",
            enabled=True,
            severity=SEVERITY,
            scopes=[insights.id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            auto_mitigate=True,
            criteria=azure.monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    azure.monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name="failed",
                        # https://learn.microsoft.com/azure/azure-monitor/app/metrics-overview#failed-requests-requestsfailed
                        metric_namespace="microsoft.insights/components",
                        metric_name="requests/failed",
                        time_aggregation="Count",
                        operator="GreaterThan",
                        threshold=FAILED_RUNS,
                        skip_metric_validation=True,  # nothing sends it until something fails
                    )
                ],
            ),
            actions=[azure.monitor.MetricAlertActionArgs(action_group_id=args.notify)],
            tags=scope.tags("scaling"),
            opts=self._child,
        )
