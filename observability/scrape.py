"""Prometheus' configuration for the nodes of a set of stack files: found by the stack's tags, in each cloud's own way.

One Prometheus per cloud, in or next to the nodes' networks: nodes have no public address. It authenticates with the
identity of the machine that it runs on; nothing here is a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from images.programs.front import METRICS_PORT
from infra.azure import names as azure_names
from infra.config import RegionConfig
from infra.naming import PROJECT

CLOUDS: Final = ("aws", "azure", "gcp")
JOBS: Final = ("gate", "engine", "node", "gpu")
"""Also the last part of the path under which a node's nginx shows each."""
EVERY: Final = "15s"
FIND_EVERY: Final = "60s"
RULES: Final = ("rules/*.yml",)


def _aws(region: RegionConfig) -> list[dict[str, Any]]:
    # https://prometheus.io/docs/prometheus/latest/configuration/configuration/#ec2_sd_config (ec2:DescribeInstances)
    filters = {
        f"tag:{PROJECT}:stack": [region.stack_name],
        "tag-key": [f"{PROJECT}:pool"],
        "instance-state-name": ["running"],
    }
    return [
        {
            "region": region.region,
            "port": METRICS_PORT,
            "refresh_interval": FIND_EVERY,
            "filters": [{"name": name, "values": values} for name, values in filters.items()],
        }
    ]


def _azure(region: RegionConfig) -> list[dict[str, Any]]:
    # https://prometheus.io/docs/prometheus/latest/configuration/configuration/#azure_sd_config (Reader on the group)
    return [
        {
            "subscription_id": region.account,
            "resource_group": azure_names.resource_group(region.stack_name),
            "authentication_method": "ManagedIdentity",
            # Of a user-assigned identity, where the machine has several; Prometheus wants the key, empty or not.
            "client_id": "",
            "port": METRICS_PORT,
            "refresh_interval": FIND_EVERY,
        }
    ]


def _gcp(region: RegionConfig) -> list[dict[str, Any]]:
    # One zone each: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#gce_sd_config
    # (compute.viewer). The filter is the API's: https://docs.cloud.google.com/compute/docs/reference/rest/v1/instances/list
    wanted = f'(labels.{PROJECT}-stack = "{region.stack_name}") AND (status = "RUNNING")'
    return [
        {
            "project": region.account,
            "zone": zone,
            "filter": wanted,
            "port": METRICS_PORT,
            "refresh_interval": FIND_EVERY,
        }
        for zone in region.network.zones or ()
    ]


FOUND: Final = {"aws": ("ec2_sd_configs", _aws), "azure": ("azure_sd_configs", _azure), "gcp": ("gce_sd_configs", _gcp)}
META: Final[dict[str, dict[str, tuple[str, str]]]] = {
    # label: (what discovery calls it, the part that is taken)
    "aws": {
        "stack": ("__meta_ec2_tag_spillway_stack", "(.+)"),
        "pool": ("__meta_ec2_tag_spillway_pool", "(.+)"),
        "region": ("__meta_ec2_region", "(.+)"),
        "zone": ("__meta_ec2_availability_zone", "(.+)"),
        "machine": ("__meta_ec2_instance_type", "(.+)"),
        "instance": ("__meta_ec2_instance_id", "(.+)"),
    },
    "azure": {
        "stack": ("__meta_azure_machine_tag_spillway_stack", "(.+)"),
        "pool": ("__meta_azure_machine_tag_spillway_pool", "(.+)"),
        "region": ("__meta_azure_machine_location", "(.+)"),
        "machine": ("__meta_azure_machine_size", "(.+)"),
        "instance": ("__meta_azure_machine_name", "(.+)"),
    },
    "gcp": {
        "stack": ("__meta_gce_label_spillway_stack", "(.+)"),
        "pool": ("__meta_gce_label_spillway_pool", "(.+)"),
        # URLs: .../zones/us-central1-a and .../machineTypes/a3-highgpu-8g
        "region": ("__meta_gce_zone", ".*/([a-z]+-[a-z]+[0-9]+)-[a-z]"),
        "zone": ("__meta_gce_zone", ".*/([^/]+)"),
        "machine": ("__meta_gce_machine_type", ".*/([^/]+)"),
        "instance": ("__meta_gce_instance_name", "(.+)"),
    },
}


def relabels(cloud: str) -> list[dict[str, Any]]:
    """Labels that every series of a node has: cloud, region, stack, pool, machine, instance (and zone)."""
    pool = META[cloud]["pool"][0]
    found: list[dict[str, Any]] = [
        # Machines of the stack that are in no pool (somebody's bastion) are no nodes.
        {"source_labels": [pool], "regex": ".+", "action": "keep"},
        {"target_label": "cloud", "replacement": cloud},
    ]
    found += [
        {"source_labels": [source], "regex": part, "target_label": label, "replacement": "$1"}
        for label, (source, part) in META[cloud].items()
    ]
    return found


def config(cloud: str, regions: Iterable[RegionConfig]) -> dict[str, Any]:
    """prometheus.yml for a cloud's stacks. Raises KeyError for a cloud without discovery."""
    key, found = FOUND[cloud]
    own = [entry for region in regions if region.cloud == cloud for entry in found(region)]
    return {
        "global": {"scrape_interval": EVERY, "evaluation_interval": EVERY, "external_labels": {"prometheus": cloud}},
        "rule_files": list(RULES),
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
        "scrape_configs": [
            {
                "job_name": job,
                "scheme": "https",
                "metrics_path": f"/metrics/{job}",
                # A node shows the certificate of the service's name, by address, and one that it signed itself until
                # it has its secrets. Nothing is sent there, and a node whose certificate has ended must not fall silent
                # just then: CertificateExpires watches the date instead.
                "tls_config": {"insecure_skip_verify": True},
                "scrape_timeout": "10s",
                key: own,
                "relabel_configs": relabels(cloud),
            }
            for job in JOBS
        ],
    }
