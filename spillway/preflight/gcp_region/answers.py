"""Parts of Google Cloud's answers, as google-cloud-compute and google-cloud-storage tell them, as typed facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from spillway.preflight.gcp_region.facts import Advice, Instance, MachineImage, Thing
from spillway.preflight.pool_quotas import Limit

STACK_LABEL: Final = "spillway-stack"


def stack_of(labels: Mapping[str, str] | None) -> str:
    return str((labels or {}).get(STACK_LABEL, ""))


def last(link: object) -> str:
    """The name at the end of a self link."""
    return str(link or "").rsplit("/", 1)[-1]


def limits_of(quotas: Iterable[Any]) -> dict[str, Limit]:
    """Of compute_v1.Quota, by metric."""
    return {one.metric: Limit(one.metric, one.metric, one.limit, one.usage) for one in quotas if one.metric}


def instance_of(one: Any) -> Instance:
    """Of compute_v1.Instance. Flex-start counts against preemptible quotas, too."""
    scheduling = one.scheduling
    spot = bool(scheduling.preemptible) or scheduling.provisioning_model in ("SPOT", "FLEX_START")
    return Instance(one.name, last(one.machine_type), spot)


def thing_of(one: Any) -> Thing:
    return Thing(one.name, stack_of(getattr(one, "labels", None)))


def image_of(one: Any, project: str) -> MachineImage:
    """Of compute_v1.Image."""
    return MachineImage(
        id=f"projects/{project}/global/images/{one.name}",
        name=one.name,
        status=one.status,
        architecture=one.architecture,
        size_gib=int(one.disk_size_gb),
        created=datetime.fromisoformat(one.creation_timestamp) if one.creation_timestamp else None,
        deprecated=one.deprecated.state or "ACTIVE",
        features=frozenset(feature.type_ for feature in one.guest_os_features),
    )


def advice_of(found: Any) -> Advice | None:
    """Of compute_v1.CapacityAdviceResponse: its first recommendation, the best."""
    for one in found.recommendations:
        uptime = str(one.scores.estimated_uptime or "0s").removesuffix("s")
        return Advice(
            obtainability=float(one.scores.obtainability),
            uptime_seconds=float(uptime or 0),
            shards=tuple((last(s.zone), last(s.machine_type), int(s.instance_count)) for s in one.shards),
        )
    return None
