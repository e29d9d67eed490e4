"""What the readers of every cloud's region share: who the region is, its nodes, and how its pools are read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import ValidationError

from images.node import NodeConfig
from infra.stackfile import REGION_KEY
from rehearsal.fleet.model import Node, Origin, Region, figures, origin
from rehearsal.fleet.resources import Notes, Reader, Resource, Stack

if TYPE_CHECKING:
    from infra.config import RegionConfig

NODE_FILE: Final = "/etc/spillway/node.json"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SPOT_NOTICE: Final[Mapping[str, tuple[int, str]]] = {
    "aws": (120, "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html"),
    "azure": (30, "https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot"),
    "gcp": (30, "https://docs.cloud.google.com/compute/docs/instances/create-use-spot, without a preemption notice"),
}
"""Cloud -> seconds from the notice to the end of a spot node, and who says so."""
AZURE_NO_DRAIN: Final = "the balancer forgets a node that leaves at once; the node itself drains"
AZURE_TIMEOUT: Final = "a probe is told no time-out; it has until the next one"


@dataclass(frozen=True, slots=True)
class Place:
    """Who a region is, as its stack's output `endpoint` says, or the stack's configuration in a plan."""

    residency: str
    nearest_aws_region: str
    region: str


def endpoint(stack: Stack, notes: Notes) -> Place:
    """The region's place. Raises SpillwayError where neither output nor configuration says it."""
    told = stack.outputs.get("endpoint")
    if isinstance(told, Mapping):
        found = {}
        for name, key in (("residency", "residency"), ("nearest_aws_region", "nearestAwsRegion"), ("region", "region")):
            value = told.get(key)
            if not isinstance(value, str) or not value:
                stack.refuse(
                    f"{stack.name}: outputs.endpoint.{key}", "missing; bring the stack up with this version first"
                )
            found[name] = value
            notes[f"{stack.name}.{name}"] = Origin(f"stack {stack.name}", f"outputs.endpoint.{key}")
        return Place(**found)
    config = configured(stack)
    if config is None:
        stack.refuse(f"{stack.name}: outputs.endpoint", "missing; bring the stack up with this version first")
    for name, key in (("residency", "residency"), ("nearest_aws_region", "nearestAwsRegion"), ("region", "region")):
        notes[f"{stack.name}.{name}"] = Origin(f"configuration of {stack.name}", f"{REGION_KEY}.{key}")
    return Place(config.residency, config.latency_region, config.region)


def configured(stack: Stack) -> RegionConfig | None:
    """The stack's configuration as its plan has it; None where the source has none."""
    from infra.config import parse_region

    return None if stack.config is None else parse_region(stack.config, stack.name, stack.file)


def of_config(config: RegionConfig, grace_seconds: int, notice_seconds: int) -> Node:
    """The node's figures as the stack file has them."""
    return Node(
        boot_minutes=config.fallback.boot_minutes,
        grace_seconds=grace_seconds,
        notice_seconds=notice_seconds,
        counted_seconds=config.node.notice_seconds,
        deregister_seconds=config.node.deregister_seconds,
        drain_seconds=config.node.drain_seconds,
        model=config.model.name,
        concurrency=config.model.max_num_seqs,
        max_model_len=config.model.max_model_len,
        queue=config.limits.queue,
        ttft_p50_ms=config.limits.ttft_p50_ms,
        error_rate=config.limits.error_rate,
    )


NODE_KEYS: Final = {
    "boot_minutes": "bootMinutes",
    "counted_seconds": "drain.noticeSeconds",
    "deregister_seconds": "drain.deregisterSeconds",
    "drain_seconds": "drain.drainSeconds",
    "model": "model.name",
    "concurrency": "model.maxNumSeqs",
    "max_model_len": "model.maxModelLen",
    "queue": "limits.queue",
    "ttft_p50_ms": "limits.ttftP50Ms",
    "error_rate": "limits.errorRate",
}
"""Field -> its key in node.json."""
CONFIG_KEYS: Final = NODE_KEYS | {
    "boot_minutes": "fallback.bootMinutes",
    "counted_seconds": "node.noticeSeconds",
    "deregister_seconds": "node.deregisterSeconds",
    "drain_seconds": "node.drainSeconds",
}
"""Field -> its key in a stack file, below spillway:region."""


def node(template: Reader, key: str, grace_seconds: int, notice_seconds: int) -> Node:
    """What a node is told, from the user data of its template; where a plan does not know that yet, from the stack's
    configuration. grace_seconds, notice_seconds: the cloud's side of it, noted by who read them."""
    reader = template.at("node")
    text = template.resource.known(key)
    if text is None:
        config = configured(template.stack)
        if config is None:
            template.fault(key, "the nodes' user data")
        for name, where in CONFIG_KEYS.items():
            reader.notes[f"{reader.path}.{name}"] = Origin(
                f"configuration of {template.stack.name}", f"{REGION_KEY}.{where}"
            )
        return of_config(config, grace_seconds, notice_seconds)
    told = _node_json(template, key, text)
    for name, where in NODE_KEYS.items():
        reader.note(name, f"{key} ({NODE_FILE}: {where})")
    return Node(
        boot_minutes=told.boot_minutes,
        grace_seconds=grace_seconds,
        notice_seconds=notice_seconds,
        counted_seconds=told.drain.notice_seconds,
        deregister_seconds=told.drain.deregister_seconds,
        drain_seconds=told.drain.drain_seconds,
        model=told.model.name,
        concurrency=told.model.max_num_seqs,
        max_model_len=told.model.max_model_len,
        queue=told.limits.queue,
        ttft_p50_ms=told.limits.ttft_p50_ms,
        error_rate=told.limits.error_rate,
    )


def _node_json(template: Reader, key: str, text: Any) -> NodeConfig:
    """The typed node.json in user data, in base64 or as it is."""
    wanted = f"cloud-init user data that writes {NODE_FILE}"
    if not isinstance(text, str):
        template.fault(key, wanted)
    try:
        clear = text if text.startswith("#cloud-config") else base64.b64decode(text, validate=True).decode()
        files = (yaml.load(clear, _Loader) or {}).get("write_files") or ()
        content = next(file["content"] for file in files if file.get("path") == NODE_FILE)
        return NodeConfig.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        template.stack.refuse(
            f"{template.resource.name}: {key}: {NODE_FILE}: {where}",
            f"{first['msg']}; bring the stack up with this version first",
        )
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, binascii.Error, yaml.YAMLError):
        template.stack.refuse(f"{template.resource.name}: {key}", f"expected {wanted}")


def minutes(reader: Reader, field: str, key: str) -> int:
    """Seconds of a duration such as PT30M."""
    value = reader.text(field, key)
    if not (value.startswith("PT") and value.endswith("M") and value[2:-1].isdigit()):
        reader.fault(key, "a duration in minutes such as PT30M")
    return int(value[2:-1]) * 60


def by_name(stack: Stack, type_: str, key: str, name: str, what: str) -> Resource:
    """The resource of a type whose property is `name`. Raises SpillwayError when there is none."""
    found = next((one for one in stack.of_type(type_) if one.known(key) == name), None)
    if found is None:
        stack.refuse(stack.name, f"{what} {name}: there is no such {type_}")
    return found


def no_pools(stack: Stack, expected: str) -> Any:
    """Raises SpillwayError for a stack that has no pools."""
    stack.refuse(stack.name, f"has no pools; expected {expected} in a region stack")


def complete(region: Region, notes: Notes, where: str) -> Region:
    """The region as it is, with a word on every figure that nothing has been said of: names, and what is not there."""
    for path, value in figures(region, region.stack):
        if origin(notes, path) is not None:
            continue
        field = path.rpartition(".")[2]
        if value is None or value == ():
            notes[path] = Origin(where, assumed=_ABSENT.get(field, "there is none"))
        else:
            notes[path] = Origin(where, key="name" if field in ("stack", "cloud") else "")
    return region


_ABSENT: Final = {
    "reservation": "only a capacity block has one",
    "closes": "only a capacity block ends",
    "size": "nothing stands yet, or the source does not tell",
}
