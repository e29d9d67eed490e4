"""Workload identity federation: pools, and the providers whose tokens they take.

https://docs.cloud.google.com/iam/docs/workload-identity-federation
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from sandbox.gcp import tokens
from sandbox.gcp.api import GcpKind, check_count, project_number, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import length, matches, one_of, shown

# https://docs.cloud.google.com/iam/quotas
POOLS: Final = 100
PROVIDERS: Final = 200
_ID: Final = r"(?!gcp-)[a-z0-9-]{4,32}"
_ID_WORDS: Final = "4 to 32 lower-case letters, digits and hyphens, not beginning with gcp-"
# https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
_KEY: Final = re.compile(r"google\.(subject|groups)|attribute\.[a-z0-9_]{1,100}")
_ATTRIBUTES_MAX: Final = 50
_MAPPING_MAX: Final = 2048
_CONDITION_MAX: Final = 4096
_SOURCES: Final = ("aws", "oidc", "saml", "x509")
# Issuers that serve many organisations: a provider must say whose tokens it takes.
# https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions
SHARED: Final = ("token.actions.githubusercontent.com", "gitlab.com", "app.terraform.io")
_ACTIVE, _DELETED = "ACTIVE", "DELETED"


def _number_path(args: Args, cloud: Cloud) -> str:
    return f"projects/{project_number(project_of(args, cloud))}/locations/global/workloadIdentityPools"


class _Kept(GcpKind):
    """Deleted ones stay for 30 days, in which nothing else can have the name.
    https://docs.cloud.google.com/iam/docs/manage-workload-identity-pools-providers#delete-pool"""

    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"disabled": False}

    def before_create(self, args: Args, cloud: Cloud) -> None:
        found = cloud.get(self.token, self.new_id(args, cloud))
        if found is not None:
            raise CloudError("alreadyExists", "Requested entity already exists")
        self.check_uses(args, cloud)
        self.check_state(args, cloud, None)

    def standing(self, cloud: Cloud) -> list[Resource]:
        """Those that are not deleted."""
        return [one for one in cloud.all(self.token) if one["state"] == _ACTIVE]

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("deletionPolicy") == "ABANDON":
            cloud.put(resource)
        else:
            cloud.put(replace(resource, outputs={**resource.outputs, "state": _DELETED}))


@GCP.kind
class WorkloadIdentityPool(_Kept):
    """https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools"""

    token = tokens.IDENTITY_POOL
    label = "workload_identity_pool"
    autoname = AutoName("workloadIdentityPoolId", 32, lower=True)
    replace_on = ("workloadIdentityPoolId", "project")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "workloadIdentityPoolId", _ID, _ID_WORDS)
        yield from length(args, "displayName", 0, 32)
        yield from length(args, "description", 0, 256)
        yield from one_of(args, "mode", ("FEDERATION_ONLY", "TRUST_DOMAIN", "SYSTEM_TRUST_DOMAIN"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        path = f"projects/{project_of(args, cloud)}/locations/global/workloadIdentityPools"
        return f"{path}/{args['workloadIdentityPoolId']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "iam.googleapis.com/workload-identity-pool-count", len(self.standing(cloud)), POOLS)
        elif old["mode"] != args["mode"]:
            raise CloudError("badRequest", "Attempted to update an immutable field: mode.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "project": project_of(args, cloud),
            "name": f"{_number_path(args, cloud)}/{args['workloadIdentityPoolId']}",
            "state": _ACTIVE,
        }


@GCP.kind
class WorkloadIdentityPoolProvider(_Kept):
    """https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers"""

    token = tokens.IDENTITY_PROVIDER
    label = "workload_identity_pool_provider"
    autoname = AutoName("workloadIdentityPoolProviderId", 32, lower=True)
    replace_on = ("workloadIdentityPoolId", "workloadIdentityPoolProviderId", "project")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "workloadIdentityPoolId", _ID, _ID_WORDS)
        yield from matches(args, "workloadIdentityPoolProviderId", _ID, _ID_WORDS)
        yield from length(args, "displayName", 0, 32)
        yield from length(args, "description", 0, 256)
        given = [key for key in _SOURCES if args[key] is not None]
        if len(given) != 1:
            yield Fault("oidc", f"expected one of {', '.join(_SOURCES)}, got {', '.join(given) or 'none'}")
        for path, url in args.at("oidc.issuerUri"):
            parts = urlsplit(str(url))
            if parts.scheme != "https" or not parts.hostname:
                yield Fault(path, f"expected the issuer's address with https://, got {shown(url)}")
        yield from length(args, "oidc.allowedAudiences", 0, 10)
        yield from length(args, "oidc.allowedAudiences[*]", 1, 256)
        yield from length(args, "attributeCondition", 1, _CONDITION_MAX)
        yield from self._expression_faults(args)
        yield from self._mapping_faults(args)

    @staticmethod
    def _expression_faults(args: Args) -> Iterator[Fault]:
        """What a token is asked for may name the token's claims and what they are mapped to."""
        for path, text in args.at("attributeCondition"):
            bare = re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', "", str(text))
            if any(sign in bare for sign in "\"'") or bare.count("(") != bare.count(")"):
                yield Fault(path, f"expected an expression with closed quotes and parentheses, got {shown(text)}")
            for name in re.findall(r"[A-Za-z_]\w*(?:\.\w+)+", bare):
                if name.split(".")[0] not in ("assertion", "google", "attribute"):
                    yield Fault(path, f"undeclared reference to '{name.split('.')[0]}'")

    @staticmethod
    def _mapping_faults(args: Args) -> Iterator[Fault]:
        if args.is_unknown("attributeMapping"):
            return
        mapping = args["attributeMapping"]
        if args["oidc"] is not None and (not isinstance(mapping, dict) or "google.subject" not in mapping):
            yield Fault("attributeMapping", "needs google.subject")
        for key, text in mapping.items() if isinstance(mapping, dict) else ():
            if not _KEY.fullmatch(key):
                yield Fault("attributeMapping", f"expected google.subject, google.groups or attribute.NAME, got {key}")
            if isinstance(text, str) and not 1 <= len(text) <= _MAPPING_MAX:
                yield Fault("attributeMapping", f"{key}: expected 1 to {_MAPPING_MAX} characters")
        if isinstance(mapping, dict) and sum(key.startswith("attribute.") for key in mapping) > _ATTRIBUTES_MAX:
            yield Fault("attributeMapping", f"expected at most {_ATTRIBUTES_MAX} attributes of its own")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        pool = f"projects/{project_of(args, cloud)}/locations/global/workloadIdentityPools"
        return f"{pool}/{args['workloadIdentityPoolId']}/providers/{args['workloadIdentityPoolProviderId']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        pool = cloud.get(tokens.IDENTITY_POOL, self.new_id(args, cloud).partition("/providers/")[0])
        if pool is None or pool["state"] != _ACTIVE:
            raise CloudError("notFound", f"Workload identity pool {args['workloadIdentityPoolId']} was not found.")
        if old is None:
            metric = "iam.googleapis.com/workload-identity-pool-provider-count"
            check_count(cloud, metric, len(self.standing(cloud)), PROVIDERS)
        issuer = urlsplit(str((args["oidc"] or {}).get("issuerUri", ""))).hostname
        if issuer in SHARED and "assertion." not in str(args["attributeCondition"] or ""):
            raise CloudError(
                "invalidArgument",
                "The attribute condition must reference one of the provider's claims. For more information, see "
                "https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        pool = f"{_number_path(args, cloud)}/{args['workloadIdentityPoolId']}"
        return {
            "project": project_of(args, cloud),
            "name": f"{pool}/providers/{args['workloadIdentityPoolProviderId']}",
            "state": _ACTIVE,
        }
