"""A Google Cloud project behind the SDKs: Compute Engine by path, and the other APIs. Nothing is sent.

Answers of Compute Engine are written by the SDK's own messages, which refuse fields that they do not know.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1

from infra import stackfile
from infra.config import GcpRegion, parse_region
from infra.gcp import names
from spillway.preflight.gcp_region import region
from spillway.preflight.gcp_region.account import RegionProject
from spillway.preflight.model import Row
from tests.unit.function.wire import Answer, Call, Wire, connected

STACK = "gcp-us-central1"
SHIPPED = Path(__file__).parents[3] / "stacks"
NOW = datetime(2026, 11, 26, tzinfo=UTC)
PROJECT = "spillway-test"
REGION = "us-central1"
ZONES = tuple(f"{REGION}-{letter}" for letter in "abcf")
TYPES = ("a2-highgpu-8g", "a2-ultragpu-8g", "a3-highgpu-8g")
BILLING_ACCOUNT = "billingAccounts/012345-6789AB-CDEF01"
PATH = f"/compute/v1/projects/{PROJECT}"
IMAGE = f"{PATH}/global/images/spillway-vllm-2026-11-1"
NEWEST = f"{PATH}/global/images/family/spillway-vllm"
REGIONAL = f"{PATH}/regions/{REGION}"
ADVICE = f"{REGIONAL}/advice/capacity"
TYPES_PATH, INSTANCES = f"{PATH}/aggregated/machineTypes", f"{PATH}/aggregated/instances"
ADDRESSES, NETWORKS = f"{REGIONAL}/addresses", f"{PATH}/global/networks"
MANAGED, TESTED = f"/v3/projects/{PROJECT}", f"/v3/projects/{PROJECT}:testIamPermissions"
SERVICES = f"/v1/projects/{PROJECT}/services:batchGet"
BILLED = f"/v1/projects/{PROJECT}/billingInfo"
BUDGETS = f"/v1/{BILLING_ACCOUNT}:testIamPermissions"
BUCKET = names.bucket_name(PROJECT, REGION)
MANIFEST = "models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
OWN = {"spillway-stack": STACK}
GPU_METRICS = tuple(
    f"{prefix}NVIDIA_{model}_GPUS" for model in ("A100", "A100_80GB", "H100") for prefix in ("", "PREEMPTIBLE_")
)


def config(changes: dict[str, Any] | None = None) -> GcpRegion:
    """The shipped region with values set by dotted key, in a project of its own name."""
    data = copy.deepcopy(stackfile.read(SHIPPED / f"Pulumi.{STACK}.yaml")[stackfile.REGION_KEY])
    data["account"] = PROJECT
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    made = parse_region(data, STACK, "stacks/x.yaml")
    assert isinstance(made, GcpRegion)
    return made


def told(message: Any) -> Answer:
    """A message as the API writes it."""
    text = type(message).to_json(message, use_integers_for_enums=False)
    return Answer(200, text.encode(), {"Content-Type": "application/json"})


def quota(metric: str, limit: float, usage: float = 0) -> compute_v1.Quota:
    return compute_v1.Quota(metric=metric, limit=limit, usage=usage)


def regional(*changed: compute_v1.Quota) -> Answer:
    """The region with room for everything but what is changed."""
    quotas = {metric: quota(metric, 64) for metric in GPU_METRICS}
    quotas |= {"STATIC_ADDRESSES": quota("STATIC_ADDRESSES", 8, 2), "SSD_TOTAL_GB": quota("SSD_TOTAL_GB", 100_000)}
    quotas |= {name: quota(name, 100_000) for name in ("LOCAL_SSD_TOTAL_GB", "PREEMPTIBLE_LOCAL_SSD_GB")}
    quotas |= {one.metric: one for one in changed}
    return told(compute_v1.Region(name=REGION, status="UP", quotas=list(quotas.values())))


def project(*changed: compute_v1.Quota) -> Answer:
    quotas = {"GPUS_ALL_REGIONS": quota("GPUS_ALL_REGIONS", 64), "NETWORKS": quota("NETWORKS", 5, 1)}
    quotas |= {one.metric: one for one in changed}
    return told(compute_v1.Project(name=PROJECT, quotas=list(quotas.values())))


def machine_types(offered: dict[str, tuple[str, ...]]) -> Answer:
    """zone -> types."""
    scopes = {
        f"zones/{zone}": compute_v1.MachineTypesScopedList(
            machine_types=[compute_v1.MachineType(name=name, zone=zone) for name in types]
        )
        for zone, types in offered.items()
    }
    return told(compute_v1.MachineTypeAggregatedList(items=scopes))


def instances(*types: tuple[str, str]) -> Answer:
    """(machine type, provisioning model) of each."""
    found = [
        compute_v1.Instance(
            name=f"i-{number}",
            machine_type=f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONES[0]}/machineTypes/{name}",
            scheduling=compute_v1.Scheduling(provisioning_model=model),
        )
        for number, (name, model) in enumerate(types)
    ]
    scope = compute_v1.InstancesScopedList(instances=found)
    return told(compute_v1.InstanceAggregatedList(items={f"zones/{ZONES[0]}": scope}))


def image(**changed: Any) -> Answer:
    values: dict[str, Any] = {
        "name": "spillway-vllm-2026-11-1",
        "family": "spillway-vllm",
        "status": "READY",
        "architecture": "X86_64",
        "disk_size_gb": 60,
        "creation_timestamp": "2026-11-18T01:30:05.000-08:00",
        "guest_os_features": [
            compute_v1.GuestOsFeature(type_="GVNIC"),
            compute_v1.GuestOsFeature(type_="UEFI_COMPATIBLE"),
        ],
        **changed,
    }
    return told(compute_v1.Image(**values))


def addresses(*labels: dict[str, str]) -> Answer:
    found = [
        compute_v1.Address(name=f"a-{number}", address_type="EXTERNAL", labels=each)
        for number, each in enumerate(labels)
    ]
    return told(compute_v1.AddressList(items=found))


def networks(*found: str) -> Answer:
    return told(compute_v1.NetworkList(items=[compute_v1.Network(name=name) for name in found]))


def advice(obtainability: float = 0.8) -> Answer:
    shard = compute_v1.CapacityAdviceResponseRecommendationShard(
        zone=f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/zones/{ZONES[0]}",
        machine_type=TYPES[0],
        instance_count=2,
        provisioning_model="SPOT",
    )
    scores = compute_v1.CapacityAdviceResponseRecommendationScores(
        obtainability=obtainability, estimated_uptime="7200s"
    )
    one = compute_v1.CapacityAdviceResponseRecommendation(scores=scores, shards=[shard])
    return told(compute_v1.CapacityAdviceResponse(recommendations=[one]))


def error(status: int, message: str = "no", reason: str = "forbidden", detail: str = "") -> Answer:
    """https://docs.cloud.google.com/apis/design/errors#http_mapping"""
    body: dict[str, Any] = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    if detail:
        body["status"] = "PERMISSION_DENIED"
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": detail, "domain": "x"}]
    return Answer(status, {"error": body})


DENIED = error(403, "Required 'x' permission for 'projects/spillway-test'")
DISABLED = error(403, "API has not been used in project 1 before or it is disabled.", "x", "SERVICE_DISABLED")


@dataclass
class GcpProject:
    """A project that has everything a region needs, and nothing of the stack yet. answers: by path, whatever the host
    and query. missing: permissions that the caller has not; off: APIs that are not enabled; secrets: values, None for
    one without; labels: of secrets and bucket; buckets: location by name."""

    answers: dict[str, Answer] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    off: set[str] = field(default_factory=set)
    secrets: dict[str, str | Answer | None] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=lambda: dict(OWN))
    buckets: dict[str, str] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.wire = Wire(self._handle)
        zones = [
            compute_v1.Zone(name=name, status="UP", region=f"https://x/regions/{name.rpartition('-')[0]}")
            for name in (*ZONES, "europe-west4-a")
        ]
        self.answers = {
            MANAGED: Answer(200, {"name": "projects/384265814469", "projectId": PROJECT, "state": "ACTIVE"}),
            BILLED: Answer(200, {"billingAccountName": BILLING_ACCOUNT, "billingEnabled": True}),
            PATH: project(),
            REGIONAL: regional(),
            f"{PATH}/zones": told(compute_v1.ZoneList(items=zones)),
            TYPES_PATH: machine_types({**dict.fromkeys(ZONES, TYPES), "europe-west4-a": TYPES}),
            INSTANCES: instances(),
            ADDRESSES: addresses({}, {}),
            NETWORKS: networks("default"),
            IMAGE: image(),
            ADVICE: advice(),
            **self.answers,
        }

    def deploy(self) -> None:
        """What the stack makes, as far as a preflight looks."""
        self.answers[ADDRESSES] = addresses(OWN)
        self.answers[NETWORKS] = networks("default", f"spillway-{STACK}-vpc")
        self.buckets[BUCKET] = REGION.upper()
        wanted = config().secrets
        self.secrets = {wanted.certificate: None, wanted.api_keys: None}

    def _handle(self, call: Call) -> Answer:
        path = unquote(call.path)
        if path in self.answers:
            return self.answers[path]
        if path in (TESTED, BUDGETS):
            granted = [name for name in call.json["permissions"] if name not in self.missing]
            return Answer(200, {"permissions": granted} if granted else {})
        if path == SERVICES:
            return Answer(200, {"services": self._services(call)})
        if call.host == "secretmanager.googleapis.com":
            return self._secret(path)
        if call.host == "storage.googleapis.com":
            return self._storage(call, path)
        assert call.host == "compute.googleapis.com", f"{call.method} {call.host}{path}"
        return error(404, f"The resource '{path}' was not found", "notFound")

    def _services(self, call: Call) -> list[dict[str, str]]:
        from spillway.preflight.gcp_region.account_checks import SERVICES as WANTED

        assert call.query["names"].startswith(f"projects/{PROJECT}/services/")
        return [
            {"name": f"projects/1/services/{name}", "state": "DISABLED" if name in self.off else "ENABLED"}
            for name in WANTED
        ]

    def _secret(self, path: str) -> Answer:
        name = path.split("/")[5].partition(":")[0]
        if name not in self.secrets:
            return error(404, "Secret not found", "notFound")
        value = self.secrets[name]
        base = f"projects/1/secrets/{name}"
        if path.endswith(f"/secrets/{name}"):
            return Answer(200, {"name": base, "labels": self.labels})
        if value is None:
            return error(404, "Secret Version not found", "notFound")
        version = {"name": f"{base}/versions/1", "state": "ENABLED", "createTime": "2026-11-01T00:00:00Z"}
        if not path.endswith(":access"):
            return Answer(200, version)
        if isinstance(value, Answer):
            return value
        return Answer(
            200, {"name": f"{base}/versions/1", "payload": {"data": base64.b64encode(value.encode()).decode()}}
        )

    def _storage(self, call: Call, path: str) -> Answer:
        if path == "/storage/v1/b":
            found = [
                {"name": name, "location": place, "labels": self.labels}
                for name, place in self.buckets.items()
                if place != "elsewhere" and name.startswith(call.query["prefix"])
            ]
            return Answer(200, {"items": found})
        _, _, rest = path.partition("/storage/v1/b/")
        name, _, key = rest.partition("/o/")
        if key:
            there = key in self.objects
            return (
                Answer(200, {"name": key, "size": "2", "bucket": name})
                if there
                else error(404, f"No such object: {key}")
            )
        return error(403, "no access") if name in self.buckets else error(404, "The specified bucket does not exist.")

    def account(self, wanted: GcpRegion) -> RegionProject:
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return RegionProject(wanted, credentials, AuthorizedSession(credentials))  # type: ignore[no-untyped-call]

    @contextmanager
    def reached(self) -> Iterator[None]:
        credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        with connected(self.wire), patch("google.auth.default", lambda *_, **__: (credentials, PROJECT)):
            yield

    def rows(self, changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Row]:
        """The rows by id, of the shipped stack with `changes` of its file."""
        wanted = config(changes)
        with self.reached():
            made = region.rows(wanted, self.account(wanted), NOW, (REGION,), lambda _: None, **more)
        found = {row.id: row for row in made}
        assert len(found) == len(made), "ids are unique"
        return found
