"""Secret Manager: the containers; their versions are put in by other means.

https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.gcp import places, tokens
from sandbox.gcp.api import GcpKind, kept, label_faults, label_outputs, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import conflicting, exactly_one, length, matches, requires, shown

# https://docs.cloud.google.com/secret-manager/quotas
REPLICAS_MAX: Final = 50
TOPICS_MAX: Final = 10
ALIASES_MAX: Final = 50
ANNOTATIONS_BYTES: Final = 16 * 1024
_SECONDS: Final = re.compile(r"(\d+)(?:\.\d{1,9})?s")
_KEY: Final = r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+"
_TIME: Final = r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z"


@GCP.kind
class Secret(GcpKind):
    """A secret is replicated automatically, or to regions that it names; that is chosen once."""

    token = tokens.SECRET
    label = "secret"
    autoname = AutoName("secretId", 255)
    replace_on = (
        "secretId", "project", "tags", "replication.userManaged.replicas[*].location",
    )  # fmt: skip
    write_only = ("ttl", "deletionPolicy", "deletionProtection")
    defaults: ClassVar[Mapping[str, Any]] = {"deletionProtection": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "secretId", r"[A-Za-z0-9_-]{1,255}", "1 to 255 letters, digits, - and _")
        yield from label_faults(args)
        yield from self._replication_faults(args)
        yield from conflicting(args, "expireTime", "ttl")
        yield from matches(args, "expireTime", _TIME, "a time such as 2026-12-24T18:00:00Z")
        yield from matches(args, "rotation.nextRotationTime", _TIME, "a time such as 2026-12-24T18:00:00Z")
        # Rotation at least hourly apart, at most a hundred years
        # (https://docs.cloud.google.com/secret-manager/docs/secret-rotation)
        yield from _duration(args, "rotation.rotationPeriod", 3600, 3_153_600_000)
        yield from _duration(args, "ttl", 1, 3_153_600_000)
        yield from _duration(args, "versionDestroyTtl", 86_400, 1000 * 86_400)
        yield from requires(args, "rotation", "topics")
        rotation = args.get("rotation") or {}
        if rotation.get("rotationPeriod") and not rotation.get("nextRotationTime"):
            yield Fault("rotation.nextRotationTime", "is required with rotationPeriod")
        yield from length(args, "topics", 0, TOPICS_MAX)
        yield from matches(args, "topics[*].name", r"projects/[^/]+/topics/[^/]+", "projects/p/topics/t")
        yield from length(args, "versionAliases", 0, ALIASES_MAX)
        for path, notes in args.at("annotations"):
            size = sum(len(key) + len(str(value)) for key, value in notes.items())
            if size > ANNOTATIONS_BYTES:
                yield Fault(path, f"expected at most {ANNOTATIONS_BYTES:,} bytes in all, got {size:,}")

    @staticmethod
    def _replication_faults(args: Args) -> Iterator[Fault]:
        replication = args["replication"]
        if isinstance(replication, dict):
            for fault in exactly_one(Args(replication), "auto", "userManaged"):
                yield Fault(f"replication.{fault.path}", fault.reason)
        at = "replication.userManaged.replicas"
        yield from length(args, at, 1, REPLICAS_MAX)
        locations = [location for _, location in args.at(f"{at}[*].location")]
        for path, location in args.at(f"{at}[*].location"):
            if not places.is_region(location):
                yield Fault(path, f"expected a region such as us-central1, got {shown(location)}")
        if len(set(locations)) != len(locations):
            yield Fault(at, "names a location twice")
        encrypted = [r.get("customerManagedEncryption") is not None for _, r in args.at(f"{at}[*]")]
        if any(encrypted) and not all(encrypted):
            yield Fault(at, "either all replicas have a customer-managed key, or none")
        for key in ("replication.auto.customerManagedEncryption", f"{at}[*].customerManagedEncryption"):
            yield from matches(args, f"{key}.kmsKeyName", _KEY, "the id of a KMS key")

    def replace_when(self, old: Args, new: Args) -> Iterable[str]:
        """From automatic to chosen regions or back; the key of one changes in place."""
        before, after = old.get("replication") or {}, new.get("replication") or {}
        if not before or not after or ("auto" in before) == ("auto" in after):
            return ()
        return ("replication",)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/secrets/{args['secretId']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        id = self.new_id(args, cloud)
        if cloud.get(self.token, id) is not None:
            raise CloudError("alreadyExists", f"Secret [{id}] already exists.")

    def check_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("deletionProtection"):
            raise CloudError(
                "deletionProtection", "cannot destroy secret without setting deletionProtection=false and updating it"
            )

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        super().after_delete(resource, cloud)
        if resource.inputs.get("deletionPolicy") != "ABANDON":
            for token in (tokens.SECRET_IAM_MEMBER, tokens.SECRET_VERSION):  # its values go with it
                for part in cloud.all(token):
                    if part.id.startswith(f"{resource.id}/"):
                        cloud.remove(token, part.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        notes = dict(args["annotations"] or {})
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            **label_outputs(args),
            "project": project_of(args, cloud),
            "name": id,
            "createTime": kept(old, "createTime", created),
            "expireTime": args.get("expireTime") or "",
            "annotations": notes,
            "effectiveAnnotations": notes,
        }


def _duration(args: Args, pattern: str, low: int, high: int) -> Iterator[Fault]:
    """Durations as protobuf writes them: `3600s`."""
    for path, text in args.at(pattern):
        match = _SECONDS.fullmatch(text) if isinstance(text, str) else None
        if match is None or not low <= int(match[1]) <= high:
            yield Fault(path, f"expected {low}s to {high}s, got {shown(text)}")
