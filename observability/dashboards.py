"""The dashboards as code: fleet, region, node, cost per token (observability/boards/).

`python -m observability.render` makes of them the JSON in observability/grafana/, which Grafana reads by provisioning.
"""

from __future__ import annotations

from typing import Final

from observability.boards.cost import COST
from observability.boards.fleet import FLEET
from observability.boards.node import NODE
from observability.boards.region import REGION

DASHBOARDS: Final = (FLEET, REGION, NODE, COST)
