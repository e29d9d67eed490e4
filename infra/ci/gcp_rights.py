"""What pipelines may do in a Google Cloud project: permissions by the type of what a stack makes. Pure.

Permissions: https://docs.cloud.google.com/iam/docs/roles-permissions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from infra.ci.sections import GcpCi
from infra.gcp import names

READS: Final[Mapping[str, str]] = {
    "gcp:billing/budget:Budget": "billing.resourcebudgets.read",
    "gcp:cloudfunctionsv2/function:Function": "cloudfunctions.functions.get",
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": "run.services.getIamPolicy",
    "gcp:cloudscheduler/job:Job": "cloudscheduler.jobs.get",
    "gcp:compute/address:Address": "compute.addresses.get",
    "gcp:compute/firewall:Firewall": "compute.firewalls.get",
    "gcp:compute/forwardingRule:ForwardingRule": "compute.forwardingRules.get",
    "gcp:compute/healthCheck:HealthCheck": "compute.healthChecks.get",
    "gcp:compute/network:Network": "compute.networks.get",
    "gcp:compute/regionBackendService:RegionBackendService": "compute.regionBackendServices.get",
    "gcp:compute/regionHealthCheck:RegionHealthCheck": "compute.regionHealthChecks.get",
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": "compute.instanceGroupManagers.get "
    "compute.instanceGroups.get",
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": "compute.instanceTemplates.get",
    "gcp:compute/router:Router": "compute.routers.get",
    "gcp:compute/routerNat:RouterNat": "compute.routers.get",
    "gcp:compute/subnetwork:Subnetwork": "compute.subnetworks.get",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": "iam.workloadIdentityPools.get",
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": "iam.workloadIdentityPoolProviders.get",
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": "logging.buckets.get",
    "gcp:logging/projectExclusion:ProjectExclusion": "logging.exclusions.get",
    "gcp:logging/projectSink:ProjectSink": "logging.sinks.get",
    "gcp:monitoring/alertPolicy:AlertPolicy": "monitoring.alertPolicies.get",
    "gcp:monitoring/notificationChannel:NotificationChannel": "monitoring.notificationChannels.get",
    "gcp:projects/iAMCustomRole:IAMCustomRole": "iam.roles.get",
    "gcp:projects/iAMMember:IAMMember": "resourcemanager.projects.getIamPolicy",
    "gcp:secretmanager/secret:Secret": "secretmanager.secrets.get",
    "gcp:secretmanager/secretIamMember:SecretIamMember": "secretmanager.secrets.getIamPolicy",
    "gcp:serviceaccount/account:Account": "iam.serviceAccounts.get",
    "gcp:serviceaccount/iAMMember:IAMMember": "iam.serviceAccounts.getIamPolicy",
    "gcp:storage/bucket:Bucket": "storage.buckets.get",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "storage.buckets.getIamPolicy",
    "gcp:storage/bucketObject:BucketObject": "",
}
"""What a preview with `--refresh`, which looks for drift, reads of each type. Objects: see object_permissions()."""
# serviceusage: calls are counted against the project (infra/ci/gcp.py and infra/gcp/provider.py say so), which takes
# a right of its own: https://docs.cloud.google.com/docs/quotas/quota-project
LOOKUPS: Final = (
    "compute.images.get compute.images.getFromFamily compute.images.list compute.instanceGroupManagers.get "
    "compute.subnetworks.get resourcemanager.projects.get serviceusage.services.use"
)
"""What the program looks up before it registers anything, and what every call needs."""
CHANGES: Final[Mapping[str, str]] = {
    "gcp:billing/budget:Budget": "billing.resourcebudgets.write",
    "gcp:cloudfunctionsv2/function:Function": "cloudfunctions.functions.create cloudfunctions.functions.delete "
    "cloudfunctions.functions.sourceCodeSet cloudfunctions.functions.update cloudfunctions.operations.get",
    "gcp:cloudscheduler/job:Job": "cloudscheduler.jobs.create cloudscheduler.jobs.delete cloudscheduler.jobs.update "
    "cloudscheduler.jobs.enable cloudscheduler.jobs.pause",
    "gcp:compute/address:Address": "compute.addresses.create compute.addresses.delete compute.addresses.setLabels "
    "compute.addresses.use",
    "gcp:compute/firewall:Firewall": "compute.firewalls.create compute.firewalls.delete compute.firewalls.update",
    "gcp:compute/forwardingRule:ForwardingRule": "compute.forwardingRules.create compute.forwardingRules.delete "
    "compute.forwardingRules.setLabels compute.forwardingRules.update",
    "gcp:compute/healthCheck:HealthCheck": "compute.healthChecks.create compute.healthChecks.delete "
    "compute.healthChecks.update compute.healthChecks.useReadOnly",
    "gcp:compute/network:Network": "compute.networks.create compute.networks.delete compute.networks.update "
    "compute.networks.updatePolicy compute.networks.use",
    "gcp:compute/regionBackendService:RegionBackendService": "compute.regionBackendServices.create "
    "compute.regionBackendServices.delete compute.regionBackendServices.update compute.regionBackendServices.use",
    "gcp:compute/regionHealthCheck:RegionHealthCheck": "compute.regionHealthChecks.create "
    "compute.regionHealthChecks.delete compute.regionHealthChecks.update compute.regionHealthChecks.useReadOnly",
    # Whoever makes a group has to be allowed what the group then does by itself:
    # https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers/insert
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": "compute.instanceGroupManagers.create "
    "compute.instanceGroupManagers.delete compute.instanceGroupManagers.update compute.instanceGroupManagers.use "
    "compute.instanceGroups.create compute.instanceGroups.delete compute.instanceGroups.update "
    "compute.instanceGroups.use compute.instances.create compute.instances.delete compute.instances.setLabels "
    "compute.instances.setMetadata compute.instances.setServiceAccount compute.instances.setTags compute.disks.create",
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": "compute.instanceTemplates.create "
    "compute.instanceTemplates.delete compute.instanceTemplates.useReadOnly compute.images.useReadOnly "
    "iam.serviceAccounts.actAs",
    "gcp:compute/router:Router": "compute.routers.create compute.routers.delete compute.routers.update",
    "gcp:compute/subnetwork:Subnetwork": "compute.subnetworks.create compute.subnetworks.delete "
    "compute.subnetworks.setPrivateIpGoogleAccess compute.subnetworks.update compute.subnetworks.use",
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": "logging.buckets.create logging.buckets.delete "
    "logging.buckets.undelete logging.buckets.update",
    "gcp:logging/projectExclusion:ProjectExclusion": "logging.exclusions.create logging.exclusions.delete "
    "logging.exclusions.update",
    "gcp:logging/projectSink:ProjectSink": "logging.sinks.create logging.sinks.delete logging.sinks.update",
    "gcp:monitoring/alertPolicy:AlertPolicy": "monitoring.alertPolicies.create monitoring.alertPolicies.delete "
    "monitoring.alertPolicies.update",
    "gcp:monitoring/notificationChannel:NotificationChannel": "monitoring.notificationChannels.create "
    "monitoring.notificationChannels.delete monitoring.notificationChannels.update",
    "gcp:secretmanager/secret:Secret": "secretmanager.secrets.create secretmanager.secrets.delete "
    "secretmanager.secrets.update",
    "gcp:storage/bucket:Bucket": "storage.buckets.create storage.buckets.delete storage.buckets.update",
}
"""What a deploy does to each type that gives nobody a right."""
OPERATIONS: Final = "compute.globalOperations.get compute.regionOperations.get compute.zoneOperations.get"
GRANTS: Final[Mapping[str, str]] = {
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": "run.services.setIamPolicy",
    "gcp:projects/iAMCustomRole:IAMCustomRole": "iam.roles.create iam.roles.delete iam.roles.undelete iam.roles.update",
    "gcp:projects/iAMMember:IAMMember": "resourcemanager.projects.setIamPolicy",
    "gcp:secretmanager/secretIamMember:SecretIamMember": "secretmanager.secrets.setIamPolicy",
    "gcp:serviceaccount/account:Account": "iam.serviceAccounts.create iam.serviceAccounts.delete "
    "iam.serviceAccounts.update",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "storage.buckets.setIamPolicy",
}
"""Types that say who may do what."""


def _all(*texts: Iterable[str]) -> list[str]:
    return sorted({permission for text in texts for entry in text for permission in entry.split()})


def preview_permissions() -> list[str]:
    """What previews read; no object and no secret's value."""
    return _all(READS.values(), [LOOKUPS])


def deploy_permissions(config: GcpCi) -> list[str]:
    """What deploys change, beside the reads."""
    return _all(CHANGES.values(), [OPERATIONS], GRANTS.values() if config.grants else [])


OBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "preview": ("storage.objects.get",),
    "deploy": ("storage.objects.create", "storage.objects.delete", "storage.objects.get"),
}
"""What each does with the archive of the fallback function, the only objects that a stack makes."""


def object_condition(config: GcpCi) -> str:
    """Only objects of the stacks' own function buckets: models and states are in other buckets of the project.

    https://docs.cloud.google.com/iam/docs/conditions-resource-attributes#resource-name
    """
    return " || ".join(
        f'resource.name.startsWith("projects/_/buckets/{names.function_bucket_name(config.account, region)}/objects/")'
        for region in config.regions
    )
