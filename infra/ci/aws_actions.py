"""What the AWS provider asks for each type that stacks are made of, and what deploys change. Pure data.

Actions and what they can be narrowed to:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
What the provider asks for each type: https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

READS: Final[Mapping[str, str]] = {
    "aws:autoscaling/group:Group": "autoscaling:DescribeAutoScalingGroups autoscaling:DescribeInstanceRefreshes "
    "autoscaling:DescribeScalingActivities",
    "aws:autoscaling/lifecycleHook:LifecycleHook": "autoscaling:DescribeLifecycleHooks",
    "aws:autoscaling/policy:Policy": "autoscaling:DescribePolicies",
    "aws:budgets/budget:Budget": "budgets:ViewBudget budgets:ListTagsForResource",
    "aws:cloudwatch/eventRule:EventRule": "events:DescribeRule events:ListTagsForResource",
    "aws:cloudwatch/eventTarget:EventTarget": "events:ListTargetsByRule",
    "aws:cloudwatch/logGroup:LogGroup": "logs:DescribeLogGroups logs:ListTagsForResource",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "ec2:DescribeSecurityGroups",
    "aws:ec2/eip:Eip": "ec2:DescribeAddresses ec2:DescribeAddressesAttribute",
    "aws:ec2/internetGateway:InternetGateway": "ec2:DescribeInternetGateways",
    "aws:ec2/launchTemplate:LaunchTemplate": "ec2:DescribeLaunchTemplates ec2:DescribeLaunchTemplateVersions",
    "aws:ec2/natGateway:NatGateway": "ec2:DescribeNatGateways",
    "aws:ec2/route:Route": "ec2:DescribeRouteTables",
    "aws:ec2/routeTable:RouteTable": "ec2:DescribeRouteTables",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "ec2:DescribeRouteTables",
    "aws:ec2/securityGroup:SecurityGroup": "ec2:DescribeSecurityGroups ec2:DescribeNetworkInterfaces",
    "aws:ec2/subnet:Subnet": "ec2:DescribeSubnets",
    "aws:ec2/vpc:Vpc": "ec2:DescribeVpcs ec2:DescribeVpcAttribute ec2:DescribeNetworkAcls",
    "aws:ec2/vpcEndpoint:VpcEndpoint": "ec2:DescribeVpcEndpoints ec2:DescribePrefixLists",
    "aws:iam/instanceProfile:InstanceProfile": "iam:GetInstanceProfile",
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "iam:GetOpenIDConnectProvider",
    "aws:iam/policy:Policy": "iam:GetPolicy iam:GetPolicyVersion iam:ListPolicyVersions",
    "aws:iam/role:Role": "iam:GetRole iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole "
    "iam:ListRolePolicies",
    "aws:iam/rolePolicy:RolePolicy": "iam:GetRolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "iam:ListAttachedRolePolicies",
    "aws:lb/listener:Listener": "elasticloadbalancing:DescribeListeners "
    "elasticloadbalancing:DescribeListenerAttributes elasticloadbalancing:DescribeTags",
    "aws:lb/loadBalancer:LoadBalancer": "elasticloadbalancing:DescribeLoadBalancers "
    "elasticloadbalancing:DescribeLoadBalancerAttributes elasticloadbalancing:DescribeCapacityReservation "
    "elasticloadbalancing:DescribeTags",
    "aws:lb/targetGroup:TargetGroup": "elasticloadbalancing:DescribeTargetGroups "
    "elasticloadbalancing:DescribeTargetGroupAttributes elasticloadbalancing:DescribeTags",
    "aws:route53/healthCheck:HealthCheck": "route53:GetHealthCheck route53:ListTagsForResource",
    "aws:route53/record:Record": "route53:ListResourceRecordSets route53:GetHostedZone",
    "aws:route53/zone:Zone": "route53:GetHostedZone route53:ListTagsForResource route53:GetDNSSEC",
    # The provider reads the whole of a bucket's settings whatever the stack sets, never an object.
    "aws:s3/bucket:Bucket": "s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLocation "
    "s3:GetBucketLogging s3:GetBucketObjectLockConfiguration s3:GetBucketRequestPayment s3:GetBucketTagging "
    "s3:GetBucketWebsite s3:GetReplicationConfiguration s3:ListBucket s3:ListTagsForResource",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "s3:GetBucketOwnershipControls",
    "aws:s3/bucketPolicy:BucketPolicy": "s3:GetBucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "s3:"
    "GetEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning": "s3:GetBucketVersioning",
    "aws:secretsmanager/secret:Secret": "secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy",
    "aws:sns/topic:Topic": "sns:GetTopicAttributes sns:ListTagsForResource",
    "aws:sns/topicPolicy:TopicPolicy": "sns:GetTopicAttributes",
    "aws:sns/topicSubscription:TopicSubscription": "sns:GetSubscriptionAttributes",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "ec2:DescribeSecurityGroupRules",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ec2:DescribeSecurityGroupRules",
}
"""What a preview with `--refresh`, which looks for drift, reads of each type."""
LOOKUPS: Final[Mapping[str, str]] = {
    "aws:ec2/getAmi:getAmi": "ec2:DescribeImages",
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": "ec2:DescribeManagedPrefixLists "
    "ec2:GetManagedPrefixListEntries",
    "aws:ec2/getVpc:getVpc": "ec2:DescribeVpcs ec2:DescribeVpcAttribute ec2:DescribeRouteTables",
    "aws:autoscaling/getGroup:getGroup": "autoscaling:DescribeAutoScalingGroups",
    "aws:ec2/getCapacityBlockReservation:getCapacityBlockReservation": "ec2:DescribeCapacityReservations",
    "aws:route53/getZone:getZone": "route53:GetHostedZone route53:ListTagsForResource",
}
"""What the program looks up before it registers anything."""
WRITES: Final[Mapping[str, str]] = {
    "autoscaling": "AttachLoadBalancerTargetGroups AttachTrafficSources CancelInstanceRefresh CreateAutoScalingGroup "
    "CreateOrUpdateTags DeleteAutoScalingGroup DeleteLifecycleHook DeletePolicy DeleteTags "
    "DetachLoadBalancerTargetGroups DetachTrafficSources DisableMetricsCollection EnableMetricsCollection "
    "PutLifecycleHook PutScalingPolicy ResumeProcesses StartInstanceRefresh SuspendProcesses UpdateAutoScalingGroup",
    "budgets": "ModifyBudget TagResource UntagResource",
    "cloudwatch": "DeleteAlarms PutMetricAlarm TagResource UntagResource",
    "elasticloadbalancing": "AddTags CreateListener CreateLoadBalancer CreateTargetGroup DeleteListener "
    "DeleteLoadBalancer DeleteTargetGroup ModifyListener ModifyListenerAttributes ModifyLoadBalancerAttributes "
    "ModifyTargetGroup ModifyTargetGroupAttributes RemoveTags SetIpAddressType SetSecurityGroups SetSubnets",
    "events": "DeleteRule PutRule PutTargets RemoveTargets TagResource UntagResource",
    "logs": "CreateLogGroup DeleteLogGroup DeleteRetentionPolicy PutRetentionPolicy TagResource UntagResource",
    "s3": "CreateBucket DeleteBucket DeleteBucketPolicy PutBucketOwnershipControls "
    "PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning PutEncryptionConfiguration "
    "PutLifecycleConfiguration TagResource UntagResource",
    "secretsmanager": "CreateSecret DeleteSecret TagResource UntagResource UpdateSecret",
    "sns": "CreateTopic DeleteTopic SetTopicAttributes Subscribe TagResource Unsubscribe UntagResource",
}
"""What a deploy changes beside networks, by service; the stacks' names narrow each."""
# CreateSubnet and its like ask for the new thing, whose tags are in the request, and for what it lies in, which has its
# own: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/supported-iam-actions-tagging.html
CREATES: Final = (
    "AllocateAddress AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateInternetGateway "
    "CreateLaunchTemplate CreateNatGateway CreateRouteTable CreateSecurityGroup CreateSubnet CreateVpc "
    "CreateVpcEndpoint"
)
CHANGES: Final = (
    "AssociateRouteTable AttachInternetGateway AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress "
    "CreateLaunchTemplateVersion CreateNatGateway CreateRoute CreateRouteTable CreateSecurityGroup CreateSubnet "
    "CreateTags CreateVpcEndpoint DeleteInternetGateway DeleteLaunchTemplate DeleteLaunchTemplateVersions "
    "DeleteNatGateway DeleteRoute DeleteRouteTable DeleteSecurityGroup DeleteSubnet DeleteTags DeleteVpc "
    "DeleteVpcEndpoints DetachInternetGateway DisassociateAddress DisassociateRouteTable ModifyLaunchTemplate "
    "ModifySecurityGroupRules ModifySubnetAttribute ModifyVpcAttribute ModifyVpcEndpoint ReleaseAddress ReplaceRoute "
    "ReplaceRouteTableAssociation"
)
NETWORK: Final = (
    "elastic-ip internet-gateway launch-template natgateway route-table security-group security-group-rule subnet vpc "
    "vpc-endpoint"
)


def read_actions() -> tuple[str, ...]:
    """Every action of a preview, sorted."""
    return tuple(sorted({action for text in (*READS.values(), *LOOKUPS.values()) for action in text.split()}))
