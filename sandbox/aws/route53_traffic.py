"""Traffic policies: trees of routing rules as one document, and the names that such a tree answers for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps
from sandbox.aws import route53_limits as limits
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import clean_zone_id, expanded, is_within
from sandbox.aws.route53_values import value_fault
from sandbox.aws.route53_zones import records_of, require_zone, zone_name
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import shown

MAX_DOCUMENT: Final = 102_400
MAX_NAME: Final = 512
MAX_COMMENT: Final = 1024
# https://docs.aws.amazon.com/Route53/latest/APIReference/api-policies-traffic-policy-document-format.html
_VERSIONS: Final = ("2015-10-01", "2023-05-09")
_TYPES: Final = ("A", "AAAA", "CAA", "CNAME", "MX", "NAPTR", "PTR", "SPF", "SRV", "TXT")
_ENDPOINTS: Final = (
    "value", "cloudfront", "elastic-load-balancer", "application-load-balancer", "network-load-balancer",
    "elastic-beanstalk", "s3-website",
)  # fmt: skip
# Rule type -> where its branches are: keys with one branch, or one key with a list of them.
_BRANCHES: Final[Mapping[str, tuple[str, ...]]] = {
    "failover": ("Primary", "Secondary"),
    "geo": ("Locations",),
    "geoproximity": ("GeoproximityLocations",),
    "latency": ("Regions",),
    "multivalue": ("Items",),
    "weighted": ("Items",),
}


def document_faults(text: str) -> Iterator[str]:
    """What is wrong with a traffic policy document, one line each."""
    if len(text) > MAX_DOCUMENT:
        yield f"expected at most {MAX_DOCUMENT:,} characters, got {len(text):,}"
    try:
        document = json.loads(text)
    except ValueError as error:
        yield f"expected a JSON document: {error}"
        return
    if not isinstance(document, dict):
        yield f"expected a JSON object, got {shown(document)}"
        return
    if document.get("AWSPolicyFormatVersion") not in _VERSIONS:
        yield f"AWSPolicyFormatVersion: expected one of {', '.join(_VERSIONS)}"
    record_type = document.get("RecordType")
    if record_type not in _TYPES:
        yield f"RecordType: expected one of {', '.join(_TYPES)}; got {shown(record_type)}"
    endpoints, steps = document.get("Endpoints") or {}, document.get("Rules") or {}
    if not isinstance(endpoints, dict) or not isinstance(steps, dict):
        yield "Endpoints and Rules: expected objects whose keys are your ids"
        return
    starts = [key for key in ("StartEndpoint", "StartRule") if document.get(key)]
    if len(starts) != 1:
        yield "one of StartEndpoint, StartRule must be set, and only one"
    for key, known in (("StartEndpoint", endpoints), ("StartRule", steps)):
        if document.get(key) and document[key] not in known:
            yield f"{key}: {shown(document[key])} is not defined"
    for name, endpoint in endpoints.items():
        yield from _endpoint_faults(f"Endpoints.{name}", endpoint, str(record_type))
    for name, rule in steps.items():
        yield from _rule_faults(f"Rules.{name}", rule, endpoints, steps)
    circle = _circle(steps)
    if circle:
        yield f"Rules.{circle}: the rule leads back to itself"


def _endpoint_faults(path: str, endpoint: Any, record_type: str) -> Iterator[str]:
    if not isinstance(endpoint, dict):
        yield f"{path}: expected an object"
        return
    kind = endpoint.get("Type", "value")
    if kind not in _ENDPOINTS:
        yield f"{path}.Type: expected one of {', '.join(_ENDPOINTS)}; got {shown(kind)}"
    if kind == "s3-website":
        if not endpoint.get("Region"):
            yield f"{path}.Region: is required for an endpoint of type s3-website"
    elif not isinstance(endpoint.get("Value"), str):
        yield f"{path}.Value: is required"
    elif kind == "value" and record_type in _TYPES:
        reason = value_fault(record_type, endpoint["Value"].strip('"'))
        if reason:
            yield f"{path}.Value: {reason}, got {shown(endpoint['Value'])}"


def _branches(rule: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(path, branch) of everything that a rule may choose."""
    out: list[tuple[str, Any]] = []
    for key in _BRANCHES.get(str(rule.get("RuleType")), ()):
        value = rule.get(key)
        if isinstance(value, list):
            out += [(f"{key}[{i}]", branch) for i, branch in enumerate(value)]
        elif value is not None:
            out.append((key, value))
    return out


def _rule_faults(path: str, rule: Any, endpoints: Mapping[str, Any], steps: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(rule, dict):
        yield f"{path}: expected an object"
        return
    kind = str(rule.get("RuleType"))
    if kind not in _BRANCHES:
        yield f"{path}.RuleType: expected one of {', '.join(_BRANCHES)}; got {shown(kind)}"
        return
    for key in _BRANCHES[kind]:
        if not rule.get(key):
            yield f"{path}.{key}: is required in a rule of type {kind}"
    for inner, branch in _branches(rule):
        where = f"{path}.{inner}"
        if not isinstance(branch, dict):
            yield f"{where}: expected an object"
            continue
        references = [key for key in ("EndpointReference", "RuleReference") if branch.get(key)]
        if len(references) != 1:
            yield f"{where}: one of EndpointReference, RuleReference must be set, and only one"
        for key, known in (("EndpointReference", endpoints), ("RuleReference", steps)):
            if branch.get(key) and branch[key] not in known:
                yield f"{where}.{key}: {shown(branch[key])} is not defined"
        if kind == "multivalue" and branch.get("RuleReference"):
            yield f"{where}.RuleReference: a multivalue rule leads to endpoints only"
        if kind == "latency" and branch.get("Region") not in limits.LATENCY_REGIONS:
            yield f"{where}.Region: expected an AWS region, got {shown(branch.get('Region'))}"
        if kind == "weighted" and not _is_weight(branch.get("Weight")):
            yield f"{where}.Weight: expected 0 to 255, got {shown(branch.get('Weight'))}"


def _is_weight(value: Any) -> bool:
    text = str(value)
    return not isinstance(value, bool) and text.isdigit() and int(text) <= 255


def _circle(steps: Mapping[str, Any]) -> str:
    """A rule from which its own branches come back to it, empty when there is none."""
    leads = {
        name: [b["RuleReference"] for _, b in _branches(rule) if isinstance(b, dict) and b.get("RuleReference")]
        for name, rule in steps.items()
        if isinstance(rule, dict)
    }
    for start in leads:
        seen: set[str] = set()
        waiting = list(leads[start])
        while waiting:
            name = waiting.pop()
            if name == start:
                return start
            if name not in seen:
                seen.add(name)
                waiting += leads.get(name, [])
    return ""


def health_checks_in(text: str) -> set[str]:
    """The ids of health checks that a document names."""
    steps = json.loads(text).get("Rules") or {}
    return {
        str(branch["HealthCheck"])
        for rule in steps.values()
        for _, branch in _branches(rule)
        if isinstance(branch, dict) and branch.get("HealthCheck")
    }


@AWS.kind
class TrafficPolicy(Kind):
    """aws_route53_traffic_policy. https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateTrafficPolicy.html"""

    token = limits.TRAFFIC_POLICY
    replace_on = ("name", "document")
    json_properties = ("document",)
    autoname = AutoName("name", MAX_NAME)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "TrafficPolicyAlreadyExists"
    regional = False
    taggable = False
    not_found_code = "NoSuchTrafficPolicy"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.length(args, "name", 1, MAX_NAME)
        yield from rules.length(args, "comment", 0, MAX_COMMENT)
        for path, text in args.at("document"):
            for reason in document_faults(str(text)):
                yield Fault(path, reason)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(
            cloud,
            quotas.TRAFFIC_POLICIES,
            len(cloud.all(self.token)),
            "TooManyTrafficPolicies",
            "The account has reached its limit of {limit} traffic policies.",
        )
        for id in sorted(health_checks_in(args["document"])):
            if cloud.get(limits.HEALTH_CHECK, id) is None:
                raise CloudError("InvalidTrafficPolicyDocument", f"The health check {id} does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": formats.arn("route53", "", "", f"trafficpolicy/{id}", partition_of=cloud.region),
            "type": json.loads(args["document"])["RecordType"],
            "version": 1,
        }


@AWS.kind
class TrafficPolicyInstance(Kind):
    """aws_route53_traffic_policy_instance: a name of a zone that a traffic policy answers for.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateTrafficPolicyInstance.html"""

    token = limits.TRAFFIC_POLICY_INSTANCE
    replace_on = ("hostedZoneId", "name")
    autoname = AutoName("name", 1024)
    references = (
        Ref(
            "trafficPolicyId",
            (limits.TRAFFIC_POLICY,),
            same_region=False,
            code="NoSuchTrafficPolicy",
            delete_code="TrafficPolicyInUse",
        ),
    )
    regional = False
    taggable = False
    not_found_code = "NoSuchTrafficPolicyInstance"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.length(args, "name", 1, 1024)
        yield from rules.between(args, "ttl", 0, 2**31 - 1, "seconds")
        yield from rules.between(args, "trafficPolicyVersion", 1, 1000)
        yield from rules.length(args, "trafficPolicyId", 1, 36)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return stamps.new_uuid()

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(
            cloud,
            quotas.TRAFFIC_POLICY_RECORDS,
            len(cloud.all(self.token)),
            "TooManyTrafficPolicyInstances",
            "The account has reached its limit of {limit} traffic policy records.",
        )
        zone = require_zone(cloud, args["hostedZoneId"])
        home = zone_name(zone)
        name, kind = expanded(args["name"], home), self._policy_type(args, cloud)
        if not is_within(name, home):
            raise CloudError("InvalidInput", f"{name} is not in the hosted zone {home}.")
        others = [i for i in cloud.all(self.token) if clean_zone_id(str(i["hostedZoneId"])) == zone.id]
        taken = {(expanded(str(i["name"]), home), self._policy_type(Args(i.inputs), cloud)) for i in others}
        taken |= {(str(r["fqdn"]), str(r["type"])) for r in records_of(cloud, zone.id)}
        if (name, kind) in taken:
            raise CloudError(
                "TrafficPolicyInstanceAlreadyExists", f"{name} of type {kind} exists in {zone.id} already."
            )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        before, after = self._policy_type(Args(old.inputs), cloud), self._policy_type(args, cloud)
        if before != after:
            raise CloudError(
                "ConflictingTypes", f"The traffic policy is of type {after}, the instance of type {before}."
            )

    @staticmethod
    def _policy_type(args: Args, cloud: Cloud) -> str:
        policy = cloud.get(limits.TRAFFIC_POLICY, str(args["trafficPolicyId"]))
        if policy is None or args["trafficPolicyVersion"] != policy["version"]:
            raise CloudError(
                "NoSuchTrafficPolicy",
                f"The traffic policy {args['trafficPolicyId']} has no version {args['trafficPolicyVersion']}.",
            )
        return str(policy["type"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": formats.arn("route53", "", "", f"trafficpolicyinstance/{id}", partition_of=cloud.region)}
