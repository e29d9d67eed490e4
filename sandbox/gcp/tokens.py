"""The types that the stand-in Google Cloud covers, by their Pulumi tokens."""

from typing import Final

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
REGION_BACKEND_SERVICE: Final = "gcp:compute/regionBackendService:RegionBackendService"
FORWARDING_RULE: Final = "gcp:compute/forwardingRule:ForwardingRule"

BUCKET: Final = "gcp:storage/bucket:Bucket"
BUCKET_OBJECT: Final = "gcp:storage/bucketObject:BucketObject"
BUCKET_IAM_MEMBER: Final = "gcp:storage/bucketIAMMember:BucketIAMMember"

SERVICE_ACCOUNT: Final = "gcp:serviceaccount/account:Account"
SERVICE_ACCOUNT_IAM_MEMBER: Final = "gcp:serviceaccount/iAMMember:IAMMember"
PROJECT_IAM_MEMBER: Final = "gcp:projects/iAMMember:IAMMember"
PROJECT_ROLE: Final = "gcp:projects/iAMCustomRole:IAMCustomRole"
PROJECT_SERVICE: Final = "gcp:projects/service:Service"

SECRET: Final = "gcp:secretmanager/secret:Secret"
SECRET_VERSION: Final = "gcp:secretmanager/secretVersion:SecretVersion"
"""No stack makes one: `spillway secrets push` does."""
SECRET_IAM_MEMBER: Final = "gcp:secretmanager/secretIamMember:SecretIamMember"

FUNCTION: Final = "gcp:cloudfunctionsv2/function:Function"
FUNCTION_IAM_MEMBER: Final = "gcp:cloudfunctionsv2/functionIamMember:FunctionIamMember"
RUN_IAM_MEMBER: Final = "gcp:cloudrun/iamMember:IamMember"
RUN_V2_IAM_MEMBER: Final = "gcp:cloudrunv2/serviceIamMember:ServiceIamMember"
JOB: Final = "gcp:cloudscheduler/job:Job"

ALERT_POLICY: Final = "gcp:monitoring/alertPolicy:AlertPolicy"
NOTIFICATION_CHANNEL: Final = "gcp:monitoring/notificationChannel:NotificationChannel"
BUDGET: Final = "gcp:billing/budget:Budget"
