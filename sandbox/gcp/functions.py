"""Cloud Run functions (2nd generation).

https://docs.cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.gcp import places, tokens
from sandbox.gcp.api import (
    NAME,
    NAME_WORDS,
    GcpKind,
    check_service_account,
    kept,
    label_faults,
    label_outputs,
    project_number,
    project_of,
)
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of, requires, shown

# https://docs.cloud.google.com/run/docs/runtime-support
_RUNTIME: Final = (
    r"python3(9|1[0-4])|nodejs(18|20|22|24)|go1(1[89]|2[0-9])|java(11|17|21|25)|ruby3[0-5]|php8[1-5]|dotnet(6|8|10)"
)
_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?)(k|Ki|M|Mi|G|Gi)")
_UNITS: Final = {"k": 1e3, "Ki": 2**10, "M": 1e6, "Mi": 2**20, "G": 1e9, "Gi": 2**30}
_CPU: Final = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_GIB: Final = 2**30
# https://docs.cloud.google.com/run/docs/configuring/services/cpu#cpu-memory: CPUs -> GiB at least and at most
_MEMORY_BY_CPU: Final[Mapping[float, tuple[float, float]]] = {
    1: (0.11, 4), 2: (0.11, 8), 4: (1.86, 16), 6: (3.72, 24), 8: (3.72, 32),
}  # fmt: skip
"""The low ends are 128 M, 2 G and 4 G, which may be written in powers of ten."""
HTTP_TIMEOUT_MAX: Final = 3600
EVENT_TIMEOUT_MAX: Final = 540
CONCURRENCY_MAX: Final = 1000
INSTANCES_MAX: Final = 3000
# https://docs.cloud.google.com/functions/docs/configuring/env-var#reserved_environment_variables
_RESERVED: Final = (
    "PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE",
    "FUNCTION_SOURCE",
)  # fmt: skip


@GCP.kind
class Function(GcpKind):
    """A function is built from an archive in a bucket and runs as a Cloud Run service of its name."""

    token = tokens.FUNCTION
    label = "function"
    autoname = AutoName("name", 63, lower=True)
    replace_on = ("name", "location", "project", "buildConfig.source.repoSource.projectId")
    write_only = ("deletionPolicy",)
    changes_on_update = ("updateTime",)
    reshaped = ("serviceConfig",)  # comes back with the service's address in it, which no preview knows

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "name", NAME, NAME_WORDS)
        for path, location in args.at("location"):
            if not places.is_region(location):
                yield Fault(path, f"expected a region such as us-central1, got {shown(location)}")
        yield from label_faults(args)
        yield from self._build_faults(args)
        yield from self._service_faults(args)
        yield from self._trigger_faults(args)
        for key in ("buildConfig", "serviceConfig"):
            yield from _variable_faults(args, f"{key}.environmentVariables")

    @staticmethod
    def _build_faults(args: Args) -> Iterator[Fault]:
        build = args["buildConfig"]
        if build is None:
            yield Fault("buildConfig", "is required: what to build the function from")
            return
        if not isinstance(build, dict):
            return
        for key in ("runtime", "entryPoint", "source"):
            if build.get(key) is None:
                yield Fault(f"buildConfig.{key}", "is required")
        yield from matches(args, "buildConfig.runtime", _RUNTIME, "a runtime such as python312")
        yield from matches(args, "buildConfig.entryPoint", r"[A-Za-z_][\w.]*", "the name of a function")
        source = build.get("source")
        if isinstance(source, dict):
            kinds = [key for key in ("storageSource", "repoSource") if source.get(key) is not None]
            if len(kinds) != 1:
                yield Fault("buildConfig.source", "expected one of storageSource and repoSource")
            archive = source.get("storageSource")
            if isinstance(archive, dict):
                for key in ("bucket", "object"):
                    if archive.get(key) is None:
                        yield Fault(f"buildConfig.source.storageSource.{key}", "is required")
        yield from matches(
            args,
            "buildConfig.serviceAccount",
            r"projects/[^/]+/serviceAccounts/[^@/]+@[^/]+",
            "projects/p/serviceAccounts/e-mail",
        )

    @staticmethod
    def _service_faults(args: Args) -> Iterator[Fault]:
        at = "serviceConfig"
        event = args["eventTrigger"] is not None
        yield from between(args, f"{at}.timeoutSeconds", 1, EVENT_TIMEOUT_MAX if event else HTTP_TIMEOUT_MAX, "seconds")
        yield from between(args, f"{at}.maxInstanceRequestConcurrency", 1, CONCURRENCY_MAX)
        yield from between(args, f"{at}.maxInstanceCount", 1, INSTANCES_MAX)
        yield from between(args, f"{at}.minInstanceCount", 0, INSTANCES_MAX)
        yield from one_of(
            args, f"{at}.ingressSettings", ("ALLOW_ALL", "ALLOW_INTERNAL_ONLY", "ALLOW_INTERNAL_AND_GCLB")
        )
        yield from one_of(
            args,
            f"{at}.vpcConnectorEgressSettings",
            ("VPC_CONNECTOR_EGRESS_SETTINGS_UNSPECIFIED", "PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"),
        )
        yield from one_of(args, f"{at}.directVpcEgress", ("VPC_EGRESS_ALL_TRAFFIC", "VPC_EGRESS_PRIVATE_RANGES_ONLY"))
        yield from length(args, f"{at}.directVpcNetworkInterfaces", 0, 1)
        service = args[at] if isinstance(args[at], dict) else {}
        if service.get("vpcConnector") and service.get("directVpcNetworkInterfaces"):
            yield Fault(f"{at}.vpcConnector", "conflicts with directVpcNetworkInterfaces")
        low, high = service.get("minInstanceCount"), service.get("maxInstanceCount")
        if isinstance(low, int) and isinstance(high, int) and low > high:
            yield Fault(f"{at}.minInstanceCount", f"expected at most maxInstanceCount ({high}), got {low}")
        yield from _size_faults(service)
        yield from matches(
            args, f"{at}.secretEnvironmentVariables[*].version", r"latest|[1-9]\d*", "latest or a number"
        )
        yield from matches(args, f"{at}.secretVolumes[*].mountPath", r"/[\w./-]+", "an absolute path")

    @staticmethod
    def _trigger_faults(args: Args) -> Iterator[Fault]:
        trigger = args.get("eventTrigger")
        if trigger is None:
            return
        yield from matches(args, "eventTrigger.eventType", r"google\.[\w.]+", "a type such as google.cloud.pubsub...")
        yield from one_of(
            args,
            "eventTrigger.retryPolicy",
            ("RETRY_POLICY_UNSPECIFIED", "RETRY_POLICY_DO_NOT_RETRY", "RETRY_POLICY_RETRY"),
        )
        if str(trigger.get("eventType")).startswith("google.cloud.pubsub") and not trigger.get("pubsubTopic"):
            yield Fault("eventTrigger.pubsubTopic", "is required with Pub/Sub events")
        yield from requires(args, "eventTrigger", "serviceConfig")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"projects/{project_of(args, cloud)}/locations/{args['location']}/functions/{args['name']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """The archive, the accounts and the secrets exist."""
        build, service = args.get("buildConfig") or {}, args.get("serviceConfig") or {}
        archive = (build.get("source") or {}).get("storageSource") or {}
        bucket, name = archive.get("bucket"), archive.get("object")
        if bucket and cloud.get(tokens.BUCKET, bucket) is None:
            raise CloudError("notFound", f"Source bucket '{bucket}' does not exist.")
        if bucket and cloud.get(tokens.BUCKET_OBJECT, f"{bucket}-{name}") is None:
            raise CloudError("invalidArgument", f"Function source 'gs://{bucket}/{name}' does not exist.")
        check_service_account(cloud, service.get("serviceAccountEmail"), "serviceConfig.serviceAccountEmail")
        account = str(build.get("serviceAccount") or "").rsplit("/", 1)[-1]
        check_service_account(cloud, account, "buildConfig.serviceAccount")
        for key in ("secretEnvironmentVariables", "secretVolumes"):
            for entry in service.get(key) or []:
                id = f"projects/{entry['projectId']}/secrets/{entry['secret']}"
                if cloud.get(tokens.SECRET, id) is None:
                    raise CloudError("notFound", f"{key}: Secret {id} was not found.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        project, location, name = project_of(args, cloud), str(args["location"]), str(args["name"])
        mark = hashlib.sha256(f"{project}/{location}".encode()).hexdigest()[:10]
        default = f"{project_number(project)}-compute@developer.gserviceaccount.com"
        service = {key: value for key, value in (args["serviceConfig"] or {}).items() if value is not None}
        build = {key: value for key, value in (args["buildConfig"] or {}).items() if value is not None}
        return {
            **label_outputs(args),
            "project": project,
            "environment": "GEN_2",
            "state": "ACTIVE",
            "updateTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "url": f"https://{location}-{project}.cloudfunctions.net/{name}",
            "serviceConfig": {
                "allTrafficOnLatestRevision": True,
                "availableCpu": "0.1666",
                "availableMemory": "256M",
                "ingressSettings": "ALLOW_ALL",
                "maxInstanceCount": 100,
                "maxInstanceRequestConcurrency": 1,
                "minInstanceCount": 0,
                "serviceAccountEmail": default,
                "timeoutSeconds": 60,
                **service,
                "service": f"projects/{project}/locations/{location}/services/{name}",
                "uri": f"https://{name}-{mark}-{location}.a.run.app",
            },
            "buildConfig": {
                **build,
                "build": kept(old, "build", f"projects/{project_number(project)}/locations/{location}/builds/{mark}"),
            },
        }


def _size_faults(service: Mapping[str, Any]) -> Iterator[Fault]:
    """CPU and memory go together; less than one CPU takes one request at a time
    (https://docs.cloud.google.com/run/docs/configuring/services/cpu)."""
    memory_text, cpu_text = service.get("availableMemory"), service.get("availableCpu")
    memory = _MEMORY.fullmatch(memory_text) if isinstance(memory_text, str) else None
    if isinstance(memory_text, str) and memory is None:
        yield Fault("serviceConfig.availableMemory", f"expected an amount such as 512Mi, got {shown(memory_text)}")
    cpu_match = _CPU.fullmatch(cpu_text) if isinstance(cpu_text, str) else None
    if isinstance(cpu_text, str) and cpu_match is None:
        yield Fault("serviceConfig.availableCpu", f"expected a number of CPUs such as 1, got {shown(cpu_text)}")
    size = float(memory[1]) * _UNITS[memory[2]] / _GIB if memory else None
    if size is not None and not 0.11 <= size <= 32:
        yield Fault("serviceConfig.availableMemory", f"expected 128Mi to 32Gi, got {memory_text}")
    cpus = float(cpu_match[1]) / (1000 if cpu_match[2] else 1) if cpu_match else None
    if cpus is not None:
        if not 0.08 <= cpus <= 1 and cpus not in _MEMORY_BY_CPU:
            yield Fault("serviceConfig.availableCpu", f"expected 0.08 to 1, 2, 4, 6 or 8; got {cpu_text}")
        low, high = _MEMORY_BY_CPU.get(cpus, (0.11, 0.5 if cpus < 0.5 else 1))
        if size is not None and size < low:
            yield Fault("serviceConfig.availableMemory", f"expected at least {low:g} GiB with {cpu_text} CPU")
        if size is not None and size > high:
            yield Fault("serviceConfig.availableMemory", f"expected at most {high:g} GiB with {cpu_text} CPU")
    concurrency = service.get("maxInstanceRequestConcurrency")
    if isinstance(concurrency, int) and concurrency > 1 and (cpus if cpus is not None else 0.1666) < 1:
        yield Fault("serviceConfig.maxInstanceRequestConcurrency", "more than 1 needs availableCpu of at least 1")


def _variable_faults(args: Args, pattern: str) -> Iterator[Fault]:
    for path, variables in args.at(pattern):
        for key in variables:
            if not key or "=" in key:
                yield Fault(path, f"expected the name of a variable, got {shown(key)}")
            elif key in _RESERVED or key.startswith("X_GOOGLE_"):
                yield Fault(path, f"{key} is reserved")
