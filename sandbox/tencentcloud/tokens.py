"""The types that the stand-in Tencent Cloud covers, by their Pulumi tokens; modules begin with a capital here."""

from typing import Final

VPC: Final = "tencentcloud:Vpc/instance:Instance"
SUBNET: Final = "tencentcloud:Subnet/instance:Instance"
ROUTE_TABLE: Final = "tencentcloud:Route/table:Table"
ROUTE_ENTRY: Final = "tencentcloud:Route/tableEntry:TableEntry"
SECURITY_GROUP: Final = "tencentcloud:Security/group:Group"
RULE_SET: Final = "tencentcloud:Security/groupRuleSet:GroupRuleSet"
EIP: Final = "tencentcloud:Eip/instance:Instance"
NAT: Final = "tencentcloud:Nat/gateway:Gateway"

BUCKET: Final = "tencentcloud:Cos/bucket:Bucket"
ROLE: Final = "tencentcloud:Cam/role:Role"
POLICY: Final = "tencentcloud:Cam/policy:Policy"
ROLE_POLICY: Final = "tencentcloud:Cam/rolePolicyAttachment:RolePolicyAttachment"
SECRET: Final = "tencentcloud:Ssm/secret:Secret"

CONFIGURATION: Final = "tencentcloud:As/scalingConfig:ScalingConfig"
GROUP: Final = "tencentcloud:As/scalingGroup:ScalingGroup"
HOOK: Final = "tencentcloud:As/lifecycleHook:LifecycleHook"
SCALING_POLICY: Final = "tencentcloud:As/scalingPolicy:ScalingPolicy"

BALANCER: Final = "tencentcloud:Clb/instance:Instance"
LISTENER: Final = "tencentcloud:Clb/listener:Listener"
