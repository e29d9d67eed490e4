"""What a stack has on AWS besides machines, as the price list calls it: service, product family, usage type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Product:
    """Something besides machines. attributes: equal to the product's; usage: pattern of its usage type's end.

    scale: how many of AWS's units one unit of the snapshot has. glob: one price for all regions.
    """

    sku: str
    service: str
    family: str
    usage: str
    unit: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    scale: Decimal = Decimal(1)
    glob: bool = False


SPELLINGS: Final[Mapping[str, Mapping[str, Decimal]]] = {
    "hour": {"hrs": Decimal(1), "hours": Decimal(1), "hourly": Decimal(1)},
    "GiB-month": {"gb-mo": Decimal(1), "gb-month": Decimal(1)},
    "IOPS-month": {"iops-mo": Decimal(1)},
    # The price is of a GiB/s, while the description beside it states that of a MiB/s.
    "MiBps-month": {"mibps-mo": Decimal(1), "gibps-mo": Decimal(1024)},
    "GB": {"gb": Decimal(1), "gigabytes": Decimal(1)},
    "NLCU-hour": {"lcu-hrs": Decimal(1)},
    "zone-month": {"hostedzone": Decimal(1), "mo": Decimal(1)},
}
"""How the list spells a unit of the snapshot, and how many of ours one of its has. Of units that are not here, any
spelling passes."""


def _thousands(count: int) -> Decimal:
    return Decimal(1_000 * count)


GP3: Final = {"volumeApiName": "gp3"}
PRODUCTS: Final = (
    Product("ebs.gp3.storage", "AmazonEC2", "Storage", "EBS:VolumeUsage.gp3", "GiB-month", GP3),
    Product("ebs.gp3.iops", "AmazonEC2", "System Operation", "EBS:VolumeP-IOPS.gp3", "IOPS-month", GP3),
    Product(
        "ebs.gp3.throughput", "AmazonEC2", "Provisioned Throughput", "EBS:VolumeP-Throughput.gp3", "MiBps-month", GP3
    ),
    Product("ebs.snapshot", "AmazonEC2", "Storage Snapshot", "EBS:SnapshotUsage", "GiB-month"),
    Product("nat.hour", "AmazonEC2", "NAT Gateway", "NatGateway-Hours", "hour"),
    Product("nat.data", "AmazonEC2", "NAT Gateway", "NatGateway-Bytes", "GB"),
    Product("ipv4.hour", "AmazonVPC", "VpcPublicIPv4Address", "PublicIPv4:InUseAddress", "hour"),
    Product("endpoint.interface.hour", "AmazonVPC", "VpcEndpoint", "VpcEndpoint-Hours", "hour"),
    Product("endpoint.interface.data", "AmazonVPC", "VpcEndpoint", "VpcEndpoint-Bytes", "GB"),
    Product("nlb.hour", "AWSELB", "Load Balancer-Network", "LoadBalancerUsage", "hour"),
    Product("nlb.nlcu", "AWSELB", "Load Balancer-Network", "LCUUsage", "NLCU-hour"),
    Product(
        "cloudwatch.alarm",
        "AmazonCloudWatch",
        "Alarm",
        "CW:AlarmMonitorUsage",
        "alarm-month",
        {"alarmType": "Standard"},
    ),
    Product("cloudwatch.metric", "AmazonCloudWatch", "Metric", "CW:MetricMonitorUsage", "metric-month"),
    Product("cloudwatch.logs.ingest", "AmazonCloudWatch", "Data Payload", "DataProcessing-Bytes", "GB"),
    Product("cloudwatch.logs.storage", "AmazonCloudWatch", "Storage Snapshot", "TimedStorage-ByteHrs", "GiB-month"),
    Product(
        "s3.standard.storage", "AmazonS3", "Storage", "TimedStorage-ByteHrs", "GiB-month", {"volumeType": "Standard"}
    ),
    Product("s3.put", "AmazonS3", "API Request", "Requests-Tier1", "1k requests", scale=_thousands(1)),
    Product("s3.get", "AmazonS3", "API Request", "Requests-Tier2", "1k requests", scale=_thousands(1)),
    Product("secretsmanager.secret", "AWSSecretsManager", "Secret", "AWSSecretsManager-Secrets", "secret-month"),
    Product(
        "secretsmanager.requests",
        "AWSSecretsManager",
        "API Request",
        "AWSSecretsManagerAPIRequest",
        "10k requests",
        scale=_thousands(10),
    ),
    Product(
        "egress.internet",
        "AWSDataTransfer",
        "Data Transfer",
        "DataTransfer-Out-Bytes",
        "GB",
        {"transferType": "AWS Outbound", "toLocation": "External"},
    ),
    Product("route53.zone", "AmazonRoute53", "DNS Zone", "HostedZone", "zone-month", glob=True),
    Product(
        "route53.queries", "AmazonRoute53", "DNS Query", "DNS-Queries", "1M queries", scale=_thousands(1_000), glob=True
    ),
    Product(
        "route53.queries.latency",
        "AmazonRoute53",
        "DNS Query",
        "LBR-Queries",
        "1M queries",
        scale=_thousands(1_000),
        glob=True,
    ),
    Product("route53.check.aws", "AmazonRoute53", "DNS Health Check", "Health-Check-AWS", "check-month", glob=True),
    Product(
        "route53.check.other", "AmazonRoute53", "DNS Health Check", "Health-Check-Non-AWS", "check-month", glob=True
    ),
)
