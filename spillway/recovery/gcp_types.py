"""What Google Cloud says about its types: how ids are made, who carries labels, and what a second create does. Pure.

Import ids are each type's first form in the section Import of its page, such as
https://www.pulumi.com/registry/packages/gcp/api-docs/compute/subnetwork/#import; that of an instance group manager,
whose page shows a bare name, is its whole path, which says the region, too
(https://github.com/hashicorp/terraform-provider-google/blob/main/google/services/compute/resource_compute_region_instance_group_manager.go.tmpl,
resourceRegionInstanceGroupManagerStateImporter).

Nothing has to be adopted of what may be made twice and is one thing all the same; the next `up` makes it again:
members of a policy, which a read-modify-write adds (https://docs.cloud.google.com/iam/docs/granting-changing-revoking-access),
objects of a bucket, which an upload replaces and no import takes
(https://www.pulumi.com/registry/packages/gcp/api-docs/storage/bucketobject/#import), log buckets, which the provider
takes up as they stand
(https://github.com/hashicorp/terraform-provider-google/blob/main/google/services/logging/resource_logging_project_bucket_config.go,
AcquireOrCreate), and APIs that are turned on.
Channels, alerts and budgets have names that the service gives, so that a lost one would be made a second time: they are
known by what they are called, and by the stack's label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from spillway.recovery.model import Key, Properties, Rules, text

NETWORK: Final = "gcp:compute/network:Network"
SUBNETWORK: Final = "gcp:compute/subnetwork:Subnetwork"
FIREWALL: Final = "gcp:compute/firewall:Firewall"
ROUTER: Final = "gcp:compute/router:Router"
ROUTER_NAT: Final = "gcp:compute/routerNat:RouterNat"
ADDRESS: Final = "gcp:compute/address:Address"
INSTANCE_TEMPLATE: Final = "gcp:compute/instanceTemplate:InstanceTemplate"
REGION_INSTANCE_TEMPLATE: Final = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"
GROUP: Final = "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"
HEALTH_CHECK: Final = "gcp:compute/healthCheck:HealthCheck"
REGION_HEALTH_CHECK: Final = "gcp:compute/regionHealthCheck:RegionHealthCheck"
BACKEND_SERVICE: Final = "gcp:compute/regionBackendService:RegionBackendService"
FORWARDING_RULE: Final = "gcp:compute/forwardingRule:ForwardingRule"
BUCKET: Final = "gcp:storage/bucket:Bucket"
SERVICE_ACCOUNT: Final = "gcp:serviceaccount/account:Account"
ROLE: Final = "gcp:projects/iAMCustomRole:IAMCustomRole"
SECRET: Final = "gcp:secretmanager/secret:Secret"
FUNCTION: Final = "gcp:cloudfunctionsv2/function:Function"
JOB: Final = "gcp:cloudscheduler/job:Job"
ALERT_POLICY: Final = "gcp:monitoring/alertPolicy:AlertPolicy"
CHANNEL: Final = "gcp:monitoring/notificationChannel:NotificationChannel"
LOG_SINK: Final = "gcp:logging/projectSink:ProjectSink"
LOG_EXCLUSION: Final = "gcp:logging/projectExclusion:ProjectExclusion"
BUDGET: Final = "gcp:billing/budget:Budget"

REPEATABLE: Final = frozenset(
    {
        "gcp:projects/iAMMember:IAMMember",
        "gcp:projects/service:Service",
        "gcp:storage/bucketIAMMember:BucketIAMMember",
        "gcp:storage/bucketObject:BucketObject",
        "gcp:secretmanager/secretIamMember:SecretIamMember",
        "gcp:serviceaccount/iAMMember:IAMMember",
        "gcp:cloudfunctionsv2/functionIamMember:FunctionIamMember",
        "gcp:cloudrun/iamMember:IamMember",
        "gcp:cloudrunv2/serviceIamMember:ServiceIamMember",
        "gcp:logging/projectBucketConfig:ProjectBucketConfig",
    }
)
"""What may be made twice and is one thing all the same."""


@dataclass(frozen=True, slots=True)
class Computed:
    """One type of Compute Engine: `collection` in its address; regional or global; whether it carries labels, and
    whether those are in its properties, as an instance template's are."""

    token: str
    collection: str
    regional: bool
    labelled: bool = False

    def id(self, project: str, region: str, name: str) -> str:
        """`projects/p/regions/us-central1/subnetworks/nodes`: the id of a state, and what an import takes."""
        place = f"regions/{region}" if self.regional else "global"
        return f"projects/{project}/{place}/{self.collection}/{name}"


# https://docs.cloud.google.com/compute/docs/reference/rest/v1 of each; labels: .../compute/docs/labeling-resources
COMPUTE: Final = (
    Computed(NETWORK, "networks", regional=False),
    Computed(FIREWALL, "firewalls", regional=False),
    Computed(HEALTH_CHECK, "healthChecks", regional=False),
    Computed(INSTANCE_TEMPLATE, "instanceTemplates", regional=False, labelled=True),
    Computed(SUBNETWORK, "subnetworks", regional=True),
    Computed(ROUTER, "routers", regional=True),
    Computed(ADDRESS, "addresses", regional=True, labelled=True),
    Computed(REGION_INSTANCE_TEMPLATE, "instanceTemplates", regional=True, labelled=True),
    Computed(GROUP, "instanceGroupManagers", regional=True),
    Computed(REGION_HEALTH_CHECK, "healthChecks", regional=True),
    Computed(BACKEND_SERVICE, "backendServices", regional=True),
    Computed(FORWARDING_RULE, "forwardingRules", regional=True, labelled=True),
)
LABELLED: Final = frozenset(
    {*(row.token for row in COMPUTE if row.labelled), BUCKET, SECRET, FUNCTION, ALERT_POLICY, CHANNEL, BUDGET}
)
"""Of these, what has no label of the stack's is not the stack's. A budget has none, and filters by it."""
MANY: Final = frozenset({ALERT_POLICY, CHANNEL, BUDGET})
"""What the service names, so that there can be several alike."""


def leaf(value: str) -> str:
    """The name at the end of a self link, of a path or of nothing but a name."""
    return value.rpartition("/")[2]


def _name(property: str) -> Key:
    def key(values: Properties) -> str | None:
        value = text(values, property)
        return leaf(value) if value else None

    return key


def _called(values: Properties) -> str | None:
    return text(values, "displayName")


def _gateway(values: Properties) -> str | None:
    """NAT gateways are named within their router."""
    router, name = text(values, "router"), text(values, "name")
    return f"{leaf(router)}/{name}" if router and name else None


def nat_id(id: str) -> str:
    """`projects/p/regions/r/routers/router/nat`, which an import takes, is `p/r/router/nat` in a state:
    https://www.pulumi.com/registry/packages/gcp/api-docs/compute/routernat/#import"""
    parts = id.split("/")
    if len(parts) == 7 and parts[0::2][:3] == ["projects", "regions", "routers"]:
        return "/".join((parts[1], parts[3], *parts[5:]))
    return id


KNOWN: Final = frozenset(
    {
        *(row.token for row in COMPUTE),
        ROUTER_NAT,
        BUCKET,
        SERVICE_ACCOUNT,
        ROLE,
        SECRET,
        FUNCTION,
        JOB,
        LOG_SINK,
        LOG_EXCLUSION,
        *MANY,
    }
)
RULES: Final = Rules(
    keys={
        **{row.token: _name("name") for row in COMPUTE},
        ROUTER_NAT: _gateway,
        BUCKET: _name("name"),
        SERVICE_ACCOUNT: _name("accountId"),
        ROLE: _name("roleId"),
        SECRET: _name("secretId"),
        FUNCTION: _name("name"),
        JOB: _name("name"),
        LOG_SINK: _name("name"),
        LOG_EXCLUSION: _name("name"),
    },
    labels=dict.fromkeys(MANY, _called),
    id_key=nat_id,
    known=KNOWN | REPEATABLE,
)
