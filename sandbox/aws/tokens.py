"""Type tokens of the EC2 and load balancing types, for references between modules."""

from __future__ import annotations

from typing import Final

VPC: Final = "aws:ec2/vpc:Vpc"
VPC_CIDR: Final = "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation"
DHCP_OPTIONS: Final = "aws:ec2/vpcDhcpOptions:VpcDhcpOptions"
DHCP_ASSOCIATION: Final = "aws:ec2/vpcDhcpOptionsAssociation:VpcDhcpOptionsAssociation"
SUBNET: Final = "aws:ec2/subnet:Subnet"
INTERNET_GATEWAY: Final = "aws:ec2/internetGateway:InternetGateway"
INTERNET_GATEWAY_ATTACHMENT: Final = (
    "aws:ec2/internetGatewayAttachment:InternetGatewayAttachment"
)
EGRESS_ONLY_GATEWAY: Final = (
    "aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway"
)
ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
DEFAULT_ROUTE_TABLE: Final = "aws:ec2/defaultRouteTable:DefaultRouteTable"
ROUTE: Final = "aws:ec2/route:Route"
ROUTE_TABLE_ASSOCIATION: Final = "aws:ec2/routeTableAssociation:RouteTableAssociation"
MAIN_ROUTE_TABLE_ASSOCIATION: Final = (
    "aws:ec2/mainRouteTableAssociation:MainRouteTableAssociation"
)
EIP: Final = "aws:ec2/eip:Eip"
EIP_ASSOCIATION: Final = "aws:ec2/eipAssociation:EipAssociation"
NAT_GATEWAY: Final = "aws:ec2/natGateway:NatGateway"
VPC_ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
VPC_ENDPOINT_ROUTE_TABLE: Final = (
    "aws:ec2/vpcEndpointRouteTableAssociation:VpcEndpointRouteTableAssociation"
)
VPC_ENDPOINT_SUBNET: Final = (
    "aws:ec2/vpcEndpointSubnetAssociation:VpcEndpointSubnetAssociation"
)
NETWORK_ACL: Final = "aws:ec2/networkAcl:NetworkAcl"
DEFAULT_NETWORK_ACL: Final = "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl"
NETWORK_ACL_RULE: Final = "aws:ec2/networkAclRule:NetworkAclRule"
NETWORK_ACL_ASSOCIATION: Final = "aws:ec2/networkAclAssociation:NetworkAclAssociation"
PEERING: Final = "aws:ec2/vpcPeeringConnection:VpcPeeringConnection"
PEERING_ACCEPTER: Final = (
    "aws:ec2/vpcPeeringConnectionAccepter:VpcPeeringConnectionAccepter"
)
FLOW_LOG: Final = "aws:ec2/flowLog:FlowLog"
PREFIX_LIST: Final = "aws:ec2/managedPrefixList:ManagedPrefixList"
SECURITY_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_SECURITY_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
SECURITY_GROUP_RULE: Final = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
NETWORK_INTERFACE: Final = "aws:ec2/networkInterface:NetworkInterface"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE: Final = "aws:ec2/instance:Instance"
PLACEMENT_GROUP: Final = "aws:ec2/placementGroup:PlacementGroup"
KEY_PAIR: Final = "aws:ec2/keyPair:KeyPair"
CAPACITY_RESERVATION: Final = "aws:ec2/capacityReservation:CapacityReservation"
CAPACITY_BLOCK: Final = "aws:ec2/capacityBlockReservation:CapacityBlockReservation"
AMI: Final = "aws:ec2/ami:Ami"
AMI_COPY: Final = "aws:ec2/amiCopy:AmiCopy"
AMI_FROM_INSTANCE: Final = "aws:ec2/amiFromInstance:AmiFromInstance"
VOLUME: Final = "aws:ebs/volume:Volume"
VOLUME_ATTACHMENT: Final = "aws:ec2/volumeAttachment:VolumeAttachment"
SNAPSHOT: Final = "aws:ebs/snapshot:Snapshot"
SNAPSHOT_COPY: Final = "aws:ebs/snapshotCopy:SnapshotCopy"
LOAD_BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
TARGET_GROUP: Final = "aws:lb/targetGroup:TargetGroup"
LISTENER: Final = "aws:lb/listener:Listener"
LISTENER_RULE: Final = "aws:lb/listenerRule:ListenerRule"
LISTENER_CERTIFICATE: Final = "aws:lb/listenerCertificate:ListenerCertificate"
TARGET_GROUP_ATTACHMENT: Final = "aws:lb/targetGroupAttachment:TargetGroupAttachment"
AUTOSCALING_GROUP: Final = "aws:autoscaling/group:Group"
INSTANCE_PROFILE: Final = "aws:iam/instanceProfile:InstanceProfile"
KMS_KEY: Final = "aws:kms/key:Key"
ACM_CERTIFICATE: Final = "aws:acm/certificate:Certificate"

SECURITY_GROUPS: Final = (SECURITY_GROUP, DEFAULT_SECURITY_GROUP)
ROUTE_TABLES: Final = (ROUTE_TABLE, DEFAULT_ROUTE_TABLE)
NETWORK_ACLS: Final = (NETWORK_ACL, DEFAULT_NETWORK_ACL)
IMAGES: Final = (AMI, AMI_COPY, AMI_FROM_INSTANCE)
SNAPSHOTS: Final = (SNAPSHOT, SNAPSHOT_COPY)
CAPACITY_RESERVATIONS: Final = (CAPACITY_RESERVATION, CAPACITY_BLOCK)
