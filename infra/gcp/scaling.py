"""What changes the size of the pools: one small function that looks at both groups once a minute.

Nothing in Google Cloud moves capacity from a spot group to a standard one, so the rule of `infra/fallback.py` runs as a
Cloud Run function, called by Cloud Scheduler; it also follows the load, and fills both groups, which start at size 0.
It is in nobody's way: while it does not run, nodes serve, groups try preempted ones again, and sizes stay.

It and its timer are told nothing but variables; a new target is a new setting, and the groups stay as they are. It is
called by the minute and not by preemptions: a gap has to last before anything is bought (see infra/function/loop.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.function import package
from infra.function.settings import environment, variable
from infra.gcp import names
from infra.gcp.common import Scope
from infra.gcp.events import LogAlertArgs, log_alert
from infra.gcp.identity import WRITE_METRICS

if TYPE_CHECKING:
    from infra.sections import Fallback, PoolSizes
    from infra.sections import Scaling as ScalingConfig

RUNTIME: Final = "python312"
SCHEDULE: Final = "* * * * *"
TIMEOUT_SECONDS: Final = 55
"""Longer than all calls of a run together (infra.function.retries.RUN_SECONDS), and over before the next begins."""
DEADLINE: Final = "60s"
"""How long the timer waits for an answer: longer than the function may run."""
STATE: Final = "state.json"
"""The object that the function reads and writes."""

# https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers: get, listManagedInstances,
# resize. monitoring.timeSeries.list reads the load.
GROUP_PERMISSIONS: Final = (
    "compute.instanceGroupManagers.get",
    "compute.instanceGroupManagers.list",
    "compute.instanceGroupManagers.update",
    "monitoring.timeSeries.list",
)
# To overwrite is to delete. Without the right to list, an object that is not there yet is answered as a forbidden one:
# https://docs.cloud.google.com/storage/docs/access-control/iam-permissions
STATE_PERMISSIONS: Final = (
    "storage.objects.create",
    "storage.objects.delete",
    "storage.objects.get",
    "storage.objects.list",
)
# https://docs.cloud.google.com/run/docs/configuring/services/build-service-account, in parts, so that a build does not
# get to read the models.
BUILD_ROLES: Final = {"log": "roles/logging.logWriter", "store": "roles/artifactregistry.writer"}
READ_SOURCE: Final = "roles/storage.objectViewer"
INVOKE: Final = "roles/run.invoker"


@dataclass(frozen=True, slots=True)
class ScalingArgs:
    """What scales what.

    pools, fallback, load: sections of the stack file. bucket: name of the function's own. package: its archive
    (`infra.function.package.write`). spot_group, on_demand_group: instance groups by name, as outputs, so that the
    function waits for them. notify: names of the notification channels that hear when on-demand takes over, and when
    the function fails.
    """

    scope: Scope
    pools: PoolSizes
    fallback: Fallback
    load: ScalingConfig
    bucket: str
    package: Path
    spot_group: pulumi.Input[str]
    on_demand_group: pulumi.Input[str]
    notify: Sequence[pulumi.Input[str]]


def state_condition(bucket: str) -> str:
    """The one object, and the bucket as such, of which the role knows nothing but to list.

    https://docs.cloud.google.com/iam/docs/conditions-resource-attributes (Cloud Storage)
    """
    return (
        f'resource.name == "projects/_/buckets/{bucket}/objects/{STATE}" || '
        'resource.type == "storage.googleapis.com/Bucket"'
    )


def source_condition(bucket: str) -> str:
    """The archive, and where Google copies it before a build.

    https://docs.cloud.google.com/functions/docs/building#image_registry (gcf-v2-sources-PROJECT_NUMBER-REGION)
    """
    return (
        f'resource.name.startsWith("projects/_/buckets/{bucket}/") || '
        'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-")'
    )


def log_filters(scope: Scope) -> dict[str, tuple[str, str]]:
    """label -> (what it tells, filter of the log entries): the function's own lines, and the timer's.

    https://docs.cloud.google.com/scheduler/docs/logging
    """
    name = names.function_name(scope.stack)
    return {
        "fallback-out": (
            "On-demand nodes ordered in place of spot",
            f'resource.type="cloud_run_revision" AND resource.labels.service_name="{name}" AND '
            'jsonPayload.event="fallback" AND jsonPayload.reason=("spot-missing" OR "spot-late")',
        ),
        "fallback-failed": (
            "Runs of the fallback function that failed, so that sizes may have stayed as they were",
            f'resource.type="cloud_scheduler_job" AND resource.labels.job_id="{name}" AND '
            f'resource.labels.location="{scope.region}" AND severity>=ERROR',
        ),
    }


class Scaling(pulumi.ComponentResource):
    """Function, timer, the accounts of both and of the build, and alerts, of one region."""

    def __init__(self, name: str, args: ScalingArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Scaling", name, None, opts)
        self._name = name
        self._args = args
        self._child = child = ResourceOptions(parent=self)
        scope = args.scope
        # A bucket of its own, not a folder among the models: what builds the function reads all of it, what the
        # function may write is nowhere near the weights, and nothing in it is worth keeping, so it goes with the stack.
        bucket = gcp.storage.Bucket(
            f"{name}-function",
            name=args.bucket,
            location=scope.region.upper(),
            storage_class="STANDARD",
            force_destroy=True,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(retention_duration_seconds=0),
            labels=scope.labels("scaling"),
            opts=child,
        )
        # Its name has a digest of what is in it: another archive is another object, and so another build.
        archive = gcp.storage.BucketObject(
            f"{name}-archive",
            bucket=bucket.name,
            name=args.package.name,
            source=pulumi.FileAsset(str(args.package)),
            content_type="application/zip",
            opts=child,
        )
        account, rights = self._function_account(bucket)
        builder, build_rights = self._build_account()
        function = self._function(bucket, archive, account, builder, [*rights, *build_rights])
        self._timer(function)
        for label, (description, text) in log_filters(scope).items():
            log_alert(f"{name}-{label}", LogAlertArgs(scope, "scaling", label, description, text, args.notify), child)
        self.register_outputs({})

    # --- Accounts ---------------------------------------------------------------------------------------------------

    def _account(self, label: str, what: str) -> gcp.serviceaccount.Account:
        scope = self._args.scope
        return gcp.serviceaccount.Account(
            f"{self._name}-{label}",
            account_id=names.account_id(scope.region, label),
            display_name=f"{what} of {scope.stack}",
            opts=self._child,
        )

    def _role(
        self, label: str, title: str, permissions: Sequence[str], account: gcp.serviceaccount.Account
    ) -> gcp.projects.IAMCustomRole:
        """A role for one account only; its id goes with the account's."""
        scope = self._args.scope
        return gcp.projects.IAMCustomRole(
            f"{self._name}-{label}-role",
            role_id=account.unique_id.apply(lambda unique_id: names.role_id(scope.stack, label, unique_id)),
            title=f"{title} of {scope.stack}",
            description=f"For the fallback function of {scope.stack}, and nobody else",
            permissions=list(permissions),
            stage="GA",
            opts=self._child,
        )

    def _grant(
        self, label: str, role: pulumi.Input[str], account: gcp.serviceaccount.Account, condition: str | None = None
    ) -> pulumi.Resource:
        """A role in the whole project, on what a condition names."""
        shown = gcp.projects.IAMMemberConditionArgs(title=label, expression=condition) if condition else None
        grant: pulumi.Resource = gcp.projects.IAMMember(
            f"{self._name}-{label}",
            project=self._args.scope.account,
            role=role,
            member=account.member,
            condition=shown,
            opts=self._child,
        )
        return grant

    def _function_account(self, bucket: gcp.storage.Bucket) -> tuple[gcp.serviceaccount.Account, list[pulumi.Resource]]:
        """The function's account. Its rights on groups hold in the whole project: instance group managers have no
        policy of their own, and are no type whose name a condition can read
        (https://docs.cloud.google.com/iam/docs/conditions-resource-attributes, resource type values), so a condition on
        two names would never be met. What can be narrowed is the role: it reads and resizes, and neither makes nor
        deletes a group, nor touches an instance, a template or an account. A project of its own for each region keeps
        it from other groups.
        """
        args = self._args
        account = self._account("fallback", "Fallback function")
        groups = self._role("fallback", "Groups", GROUP_PERMISSIONS, account)
        state = self._role("state", "State", STATE_PERMISSIONS, account)
        return account, [
            self._grant("fallback-groups", groups.name, account),
            # Metrics know no resources below the project.
            self._grant("fallback-metrics", WRITE_METRICS, account),
            gcp.storage.BucketIAMMember(
                f"{self._name}-fallback-state",
                bucket=bucket.name,
                role=state.name,
                member=account.member,
                condition=gcp.storage.BucketIAMMemberConditionArgs(
                    title="state", description=f"Only {STATE}", expression=state_condition(args.bucket)
                ),
                opts=self._child,
            ),
        ]

    def _build_account(self) -> tuple[gcp.serviceaccount.Account, list[pulumi.Resource]]:
        """Who builds the function from its archive. Without one it would be the Compute Engine default account, which
        newer organisations leave without rights and older ones make an editor
        (https://docs.cloud.google.com/build/docs/cloud-build-service-account-updates)."""
        account = self._account("build", "Build of the fallback function")
        rights = [self._grant(f"build-{label}", role, account) for label, role in BUILD_ROLES.items()]
        rights.append(self._grant("build-read", READ_SOURCE, account, source_condition(self._args.bucket)))
        return account, rights

    # --- Function and timer -----------------------------------------------------------------------------------------

    def _function(
        self,
        bucket: gcp.storage.Bucket,
        archive: gcp.storage.BucketObject,
        account: gcp.serviceaccount.Account,
        builder: gcp.serviceaccount.Account,
        after: Sequence[pulumi.Resource],
    ) -> gcp.cloudfunctionsv2.Function:
        """It waits for the groups, which takes longer than new rights need to be known everywhere, most of the time.

        https://docs.cloud.google.com/iam/docs/access-change-propagation
        """
        args, scope = self._args, self._args.scope
        return gcp.cloudfunctionsv2.Function(
            f"{self._name}-fallback",
            name=names.function_name(scope.stack),
            location=scope.region,
            description=f"Moves capacity between spot and on-demand in {scope.stack}",
            build_config=gcp.cloudfunctionsv2.FunctionBuildConfigArgs(
                runtime=RUNTIME,
                entry_point=package.ENTRY["gcp"],
                service_account=builder.name,
                source=gcp.cloudfunctionsv2.FunctionBuildConfigSourceArgs(
                    storage_source=gcp.cloudfunctionsv2.FunctionBuildConfigSourceStorageSourceArgs(
                        bucket=bucket.name, object=archive.name
                    )
                ),
            ),
            service_config=gcp.cloudfunctionsv2.FunctionServiceConfigArgs(
                service_account_email=account.email,
                # Two at once would decide the same minute twice; the state's version tells them apart, but why try.
                min_instance_count=0,
                max_instance_count=1,
                max_instance_request_concurrency=1,
                # A whole CPU: with the share that comes with the memory, importing the SDK eats into the minute.
                available_cpu="1",
                available_memory="512Mi",
                timeout_seconds=TIMEOUT_SECONDS,
                # Cloud Scheduler of the same project counts as internal when it calls the run.app address.
                # https://docs.cloud.google.com/run/docs/securing/ingress
                ingress_settings="ALLOW_INTERNAL_ONLY",
                all_traffic_on_latest_revision=True,
                environment_variables=environment(
                    stack=scope.stack,
                    pools=args.pools,
                    fallback=args.fallback,
                    scaling=args.load,
                    dry_run=args.fallback.dry_run,
                )
                | {
                    variable("project"): scope.account,
                    variable("region"): scope.region,
                    variable("spot_group"): args.spot_group,
                    variable("on_demand_group"): args.on_demand_group,
                    variable("state"): f"gs://{args.bucket}/{STATE}",
                },
            ),
            labels=scope.labels("scaling"),
            opts=ResourceOptions(parent=self, depends_on=list(after)),
        )

    def _timer(self, function: gcp.cloudfunctionsv2.Function) -> None:
        """Every minute, as an account that may call this function and nothing else."""
        scope = self._args.scope
        caller = self._account("timer", "Timer of the fallback function")
        may_call = gcp.cloudrunv2.ServiceIamMember(
            f"{self._name}-timer",
            project=scope.account,
            location=scope.region,
            name=function.name,
            role=INVOKE,
            member=caller.member,
            opts=self._child,
        )
        address = function.service_config.apply(lambda service: service.uri if service else "")
        gcp.cloudscheduler.Job(
            f"{self._name}-every-minute",
            name=names.function_name(scope.stack),
            region=scope.region,
            description=f"Calls the fallback function of {scope.stack}",
            schedule=SCHEDULE,
            time_zone="Etc/UTC",
            attempt_deadline=DEADLINE,
            paused=False,  # said, so that a pause by hand shows as a change and ends with the next `up`
            # Once more within the minute, for which the next call makes it up anyway. A run that is repeated decides
            # nothing anew.
            retry_config=gcp.cloudscheduler.JobRetryConfigArgs(
                retry_count=1,
                max_retry_duration="30s",
                min_backoff_duration="5s",
                max_backoff_duration="10s",
                max_doublings=1,
            ),
            http_target=gcp.cloudscheduler.JobHttpTargetArgs(
                uri=address,
                http_method="POST",
                oidc_token=gcp.cloudscheduler.JobHttpTargetOidcTokenArgs(
                    service_account_email=caller.email, audience=address
                ),
            ),
            opts=ResourceOptions(parent=self, depends_on=[may_call]),
        )
