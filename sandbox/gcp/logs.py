"""Cloud Logging: log buckets, sinks and exclusions of a project.

https://docs.cloud.google.com/logging/docs/reference/v2/rest
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from sandbox.gcp import places, tokens
from sandbox.gcp.api import GcpKind, check_count, project_number, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, shown
from sandbox.values import UNKNOWN

# https://docs.cloud.google.com/logging/quotas
BUCKETS: Final = 100
SINKS: Final = 200
EXCLUSIONS: Final = 50
FILTER_MAX: Final = 20_000
NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
NAME_WORDS: Final = "1 to 100 letters, digits, underscores, hyphens and periods, a letter or digit first"
_LOCATIONS: Final = ("global", "us", "eu")
_BUCKET: Final = re.compile(r"logging\.googleapis\.com/(projects/[^/]+/locations/[^/]+/buckets/[^/]+)")
_DESTINATIONS: Final = (
    r"logging\.googleapis\.com/projects/[^/]+(/locations/[^/]+/buckets/[^/]+)?|storage\.googleapis\.com/[^/]+|"
    r"pubsub\.googleapis\.com/projects/[^/]+/topics/[^/]+|bigquery\.googleapis\.com/projects/[^/]+/datasets/[^/]+"
)
_OWN: Final = ("_Default", "_Required")
_ACTIVE, _GOING = "ACTIVE", "DELETE_REQUESTED"


def _filter_faults(args: Args, pattern: str) -> Iterator[Fault]:
    """Length, quotes and parentheses of the query language; what it means is the service's to judge.
    https://docs.cloud.google.com/logging/docs/view/logging-query-language"""
    yield from length(args, pattern, 1, FILTER_MAX)
    for path, text in args.at(pattern):
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", str(text))
        if '"' in bare or bare.count("(") != bare.count(")"):
            yield Fault(path, f"expected a filter with closed quotes and parentheses, got {shown(text)}")


@GCP.kind
class LogBucket(GcpKind):
    """https://docs.cloud.google.com/logging/docs/buckets

    The provider takes up a bucket that stands under the name. A deleted one stays for 7 days, in which it can be
    neither changed nor made (`gcloud logging buckets undelete` brings it back).
    """

    token = tokens.LOG_BUCKET
    label = "bucket"
    replace_on = ("project", "location", "bucketId")
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"retentionDays": 30}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "bucketId", rf"_Default|_Required|{NAME}", NAME_WORDS)
        for path, location in args.at("location"):
            if location not in _LOCATIONS and not places.is_region(location):
                yield Fault(path, f"expected global, us, eu or a region such as us-central1, got {shown(location)}")
        yield from between(args, "retentionDays", 1, 3650, "days")
        yield from length(args, "description", 0, 8000)
        yield from length(args, "indexConfigs", 0, 20)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/locations/{args['location']}/buckets/{args['bucketId']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        found = cloud.get(self.token, self.new_id(args, cloud))
        if found is None:
            check_count(cloud, "logging.googleapis.com/buckets", len(cloud.all(self.token)), BUCKETS)
        elif found["lifecycleState"] != _ACTIVE:
            raise CloudError("failedPrecondition", "Buckets must be in an ACTIVE state to be modified")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if old["locked"] and old["retentionDays"] != args.get("retentionDays", 30):
            raise CloudError("failedPrecondition", f"The bucket {old.id} is locked.")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        going = resource.inputs.get("deletionPolicy") != "ABANDON"
        if going and resource["bucketId"] not in _OWN:
            cloud.put(replace(resource, outputs={**resource.outputs, "lifecycleState": _GOING}))
        else:
            cloud.put(resource)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "project": project_of(args, cloud),
            "name": id,
            "lifecycleState": _ACTIVE,
        }


@GCP.kind
class LogSink(GcpKind):
    """https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/projects.sinks"""

    token = tokens.LOG_SINK
    label = "sink"
    autoname = AutoName("name", 100)
    replace_on = ("name", "project")
    write_only = ("deletionPolicy", "customWriterIdentity")
    defaults: ClassVar[Mapping[str, Any]] = {"uniqueWriterIdentity": True, "disabled": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME, NAME_WORDS)
        yield from matches(args, "destination", _DESTINATIONS, "a bucket, topic, dataset or project by its path")
        yield from length(args, "description", 0, 8000)
        yield from length(args, "exclusions", 0, EXCLUSIONS)
        yield from _filter_faults(args, "filter")
        yield from _filter_faults(args, "exclusions[*].filter")
        if args["filter"] is None:
            yield Fault("filter", "is required: without one every entry of the project is sent, for money")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/sinks/{args['name']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        check_count(cloud, "logging.googleapis.com/sinks", len(cloud.all(self.token)), SINKS)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        bucket = _BUCKET.fullmatch(str(args["destination"]))
        if bucket and bucket[1].split("/")[1] == cloud.account:
            found = cloud.get(tokens.LOG_BUCKET, bucket[1])
            if bucket[1].rsplit("/", 1)[-1] not in _OWN and (found is None or found["lifecycleState"] != _ACTIVE):
                raise CloudError("notFound", f"The log bucket '{bucket[1]}' does not exist")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        project = project_of(args, cloud)
        # https://docs.cloud.google.com/logging/docs/export/configure_export_v2#dest-auth
        own = f"serviceAccount:service-{project_number(project)}@gcp-sa-logging.iam.gserviceaccount.com"
        inside = args["destination"] is not UNKNOWN and _BUCKET.fullmatch(str(args["destination"])) is not None
        return {"project": project, "writerIdentity": "" if inside else own}


@GCP.kind
class LogExclusion(GcpKind):
    """Of the project's own sink, `_Default`.
    https://docs.cloud.google.com/logging/docs/reference/v2/rest/v2/projects.exclusions"""

    token = tokens.LOG_EXCLUSION
    label = "exclusion"
    autoname = AutoName("name", 100)
    replace_on = ("name", "project")
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"disabled": False}

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME, NAME_WORDS)
        yield from length(args, "description", 0, 8000)
        yield from _filter_faults(args, "filter")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/exclusions/{args['name']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        check_count(cloud, "logging.googleapis.com/exclusions", len(cloud.all(self.token)), EXCLUSIONS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"project": project_of(args, cloud)}
