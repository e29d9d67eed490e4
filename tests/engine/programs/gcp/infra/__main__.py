"""All components of a GCP region, after the lookups that a region begins with.

CHANGES: JSON, what to change of the region by dotted key.
"""

import json
import os

import pulumi

from infra.gcp.lookups import check_image, find_image, find_project
from infra.gcp.provider import provider
from tests.support.gcp_parts import build, config

region = config(json.loads(os.environ.get("CHANGES", "{}")))
cloud = provider(region)
image = find_image(region.image, cloud)
check_image(image, region.storage.root)
parts = build(region, image, find_project(region.account, cloud), pulumi.ResourceOptions(provider=cloud))
pulumi.export("addresses", parts.balancer.addresses)
pulumi.export("modelStore", parts.storage.uri)
pulumi.export("pools", [parts.pools.spot_group, parts.pools.on_demand_group])
pulumi.export("image", image.id)
