"""IAM's JSON policy language, as strictly as IAM parses it.

Grammar: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
Elements: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
Sizes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox.aws.policy_shapes import BUCKET as BUCKET
from sandbox.aws.policy_shapes import ENDPOINT as ENDPOINT
from sandbox.aws.policy_shapes import INLINE_ROLE as INLINE_ROLE
from sandbox.aws.policy_shapes import INLINE_USER as INLINE_USER
from sandbox.aws.policy_shapes import KEY as KEY
from sandbox.aws.policy_shapes import MANAGED as MANAGED
from sandbox.aws.policy_shapes import QUEUE as QUEUE
from sandbox.aws.policy_shapes import SECRET as SECRET
from sandbox.aws.policy_shapes import TOPIC as TOPIC
from sandbox.aws.policy_shapes import TRUST as TRUST
from sandbox.aws.policy_shapes import PolicyShape as PolicyShape
from sandbox.kinds import Args, Cloud, CloudError, Fault
from sandbox.rules import shown
from sandbox.values import UNKNOWN

_DOCUMENT_KEYS: Final = ("Version", "Id", "Statement")
_STATEMENT_KEYS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_PRINCIPAL_KINDS: Final = ("AWS", "Service", "Federated", "CanonicalUser")
_ACTION: Final = re.compile(r"([A-Za-z0-9-]+):([A-Za-z0-9*?]+)")
_ARN_PATTERN: Final = re.compile(r"arn:([^:]*):([^:]*):([^:]*):([^:]*):(.+)", re.DOTALL)
_PARTITION: Final = re.compile(r"(aws(-[a-z]+)*|\*|aws\*|\$\{[^}]+\})")
_PRINCIPAL_ARN: Final = re.compile(r"arn:aws(-[a-z]+)*:(iam|sts)::(\d{12}|cloudfront|aws):[A-Za-z0-9+=,.@/_-]+")
_SERVICE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal|aws)")
_CONDITION_KEY: Final = re.compile(r"[A-Za-z0-9_-]+:[^\s:][^\s]*|[A-Za-z0-9.-]+(/[A-Za-z0-9._/-]+)?:[A-Za-z0-9_-]+")

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
_STRING_OPERATORS: Final = frozenset(
    {
        "StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike",
        "StringNotLike", "ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "BinaryEquals",
    }
)  # fmt: skip
_NUMERIC_OPERATORS: Final = frozenset(
    {
        "NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan",
        "NumericGreaterThanEquals",
    }
)  # fmt: skip
_DATE_OPERATORS: Final = frozenset(
    {
        "DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
    }
)  # fmt: skip
_ADDRESS_OPERATORS: Final = frozenset({"IpAddress", "NotIpAddress"})
_BOOLEAN_OPERATORS: Final = frozenset({"Bool", "Null"})
_OPERATORS: Final = _STRING_OPERATORS | _NUMERIC_OPERATORS | _DATE_OPERATORS | _ADDRESS_OPERATORS | _BOOLEAN_OPERATORS

# https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html; what a trust policy may grant.
_TRUST_ACTIONS: Final = frozenset(
    {
        "sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity", "sts:tagsession",
        "sts:setsourceidentity", "sts:setcontext", "sts:*",
    }
)  # fmt: skip


def parse(value: object) -> tuple[dict[str, Any] | None, str]:
    """(document, "") or (None, what is wrong). Text, or the object form that the SDK's typed arguments send."""
    if isinstance(value, Mapping):
        return dict(value), ""
    if not isinstance(value, str):
        return None, f"expected a JSON policy, got {shown(value)}"
    if not value.strip():
        return None, "contains an invalid JSON policy: empty"
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, item in items:
            if key in seen:
                duplicates.append(key)
            seen[key] = item
        return seen

    try:
        document = json.loads(value, object_pairs_hook=pairs)
    except ValueError as error:
        return None, f"contains an invalid JSON policy: {error}"
    if duplicates:
        return None, f"contains duplicate JSON keys: {', '.join(duplicates)}"
    if not isinstance(document, dict):
        return (
            None,
            f"contains an invalid JSON policy: expected an object, got {shown(document)}",
        )
    return document, ""


def policy_faults(args: Args, pattern: str, shape: PolicyShape) -> Iterator[Fault]:
    """Every breach of the policy grammar in the documents that the pattern reaches, at the property's path."""
    for path, value in args.at(pattern):
        document, problem = parse(value)
        if document is None:
            yield Fault(path, problem)
            continue
        for reason in document_faults(document, shape):
            yield Fault(path, f"MalformedPolicyDocument: {reason}")
        size = len(policy_text(document)) if shape.ignores_space or not isinstance(value, str) else len(value)
        if size > shape.max_chars:
            yield Fault(
                path,
                f"LimitExceeded: a {shape.name} may have {shape.max_chars:,} characters, this has {size:,}",
            )


def policy_text(document: Mapping[str, Any]) -> str:
    """The document as compact JSON, as IAM counts it."""
    return json.dumps(document, separators=(",", ":"), default=str)


def document_faults(document: Mapping[str, Any], shape: PolicyShape) -> Iterator[str]:
    """What IAM would refuse in a parsed document; unknown parts are skipped."""
    for key in document:
        if key not in _DOCUMENT_KEYS:
            yield f"unknown element {shown(key)}; a policy has {', '.join(_DOCUMENT_KEYS)}"
    version = document.get("Version", "2008-10-17")
    if version is not UNKNOWN and version not in _VERSIONS:
        yield f"Version {shown(version)}: the policy language is 2012-10-17 (or 2008-10-17)"
    statements = document.get("Statement")
    if statements is UNKNOWN:
        return
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        yield "Statement is required: one statement or a list of at least one"
        return
    sids: set[str] = set()
    for index, statement in enumerate(statements):
        if statement is UNKNOWN:
            continue
        where = f"Statement[{index}]"
        if not isinstance(statement, Mapping):
            yield f"{where}: expected an object, got {shown(statement)}"
            continue
        yield from (f"{where}{reason}" for reason in _statement_faults(statement, shape))
        sid = statement.get("Sid")
        if isinstance(sid, str) and sid:
            if sid in sids:
                yield f"{where}.Sid {shown(sid)}: statement ids (SID) in a single policy must be unique"
            sids.add(sid)


def _statement_faults(statement: Mapping[str, Any], shape: PolicyShape) -> Iterator[str]:
    for key in statement:
        if key not in _STATEMENT_KEYS:
            yield f": unknown element {shown(key)}; allowed are {', '.join(sorted(_STATEMENT_KEYS))}"
    effect = statement.get("Effect")
    if effect is not UNKNOWN and effect not in ("Allow", "Deny"):
        yield f".Effect: expected Allow or Deny, got {shown(effect)}"
    sid = statement.get("Sid")
    if shape.strict_sid and isinstance(sid, str) and not re.fullmatch(r"[A-Za-z0-9]*", sid):
        yield f".Sid {shown(sid)}: statement ids (SID) must be alphanumeric"
    yield from _action_faults(statement, shape)
    yield from _resource_faults(statement, shape)
    yield from _principal_faults(statement, shape)
    if "Condition" in statement:
        yield from _condition_faults(statement["Condition"])


def _one_of_pair(statement: Mapping[str, Any], positive: str) -> tuple[str | None, str]:
    """(the key present, problem) of a pair such as Action/NotAction."""
    negative = f"Not{positive}"
    present = [key for key in (positive, negative) if key in statement]
    if len(present) == 2:
        return None, f": {positive} and {negative} cannot stand in one statement"
    return (present[0], "") if present else (None, f": {positive} or {negative} is required")


def _strings(value: object, where: str) -> tuple[list[str], str]:
    """(the known strings, problem): a string or a non-empty list of strings."""
    if value is UNKNOWN:
        return [], ""
    items = value if isinstance(value, list) else [value]
    if not items:
        return [], f"{where} must not be empty"
    wrong = [item for item in items if item is not UNKNOWN and not isinstance(item, str)]
    if wrong:
        return [], f"{where}: expected text or a list of texts, got {shown(wrong[0])}"
    return [item for item in items if isinstance(item, str)], ""


def _action_faults(statement: Mapping[str, Any], shape: PolicyShape) -> Iterator[str]:
    key, problem = _one_of_pair(statement, "Action")
    if key is None:
        yield problem
        return
    actions, problem = _strings(statement[key], f".{key}")
    if problem:
        yield problem
    for action in actions:
        if action == "*":
            if shape is TRUST:
                yield f".{key} *: an AssumeRole policy may only specify STS AssumeRole actions"
            continue
        match = _ACTION.fullmatch(action)
        if match is None:
            yield f'.{key} {shown(action)}: actions are "*" or service:Name, prefixed by a vendor such as iam, s3, ec2'
        elif shape is TRUST and action.lower() not in _TRUST_ACTIONS:
            yield f".{key} {shown(action)}: an AssumeRole policy may only specify STS AssumeRole actions"
        elif shape.vendors is not None and match.group(1).lower() not in shape.vendors:
            yield f".{key} {shown(action)}: a {shape.name} only takes actions of {', '.join(sorted(shape.vendors))}"


def _resource_faults(statement: Mapping[str, Any], shape: PolicyShape) -> Iterator[str]:
    key, problem = _one_of_pair(statement, "Resource")
    if key is None:
        if "Resource" in statement or shape.resource == "required":
            yield problem
        return
    if shape.resource == "forbidden":
        yield f": has prohibited field {key}"
        return
    resources, problem = _strings(statement[key], f".{key}")
    if problem:
        yield problem
    for resource in resources:
        reason = resource_fault(resource)
        if reason:
            yield f".{key} {reason}"


def resource_fault(resource: str) -> str:
    """Why IAM refuses a Resource element, or "". Wildcards and policy variables may stand in any part."""
    if resource == "*":
        return ""
    match = _ARN_PATTERN.fullmatch(resource)
    if match is None:
        return f'{shown(resource)}: a resource must be in ARN format or "*"'
    partition, service, region, account, rest = match.groups()
    if not _PARTITION.fullmatch(partition):
        return f'{shown(resource)}: partition "{partition}" is not valid'
    if not service:
        return f"{shown(resource)}: the service part of the ARN is empty"
    if account and not re.fullmatch(r"\d{12}|aws|cloudfront|\d*[*?][\d*?]*|\$\{[^}]+\}", account):
        return f'{shown(resource)}: "{account}" is not an account id'
    if region and not re.fullmatch(r"[a-z0-9*?-]+|\$\{[^}]+\}", region):
        return f'{shown(resource)}: "{region}" is not a region'
    if (
        service == "s3"
        and (region or account)
        and not rest.startswith(("accesspoint", "job", "storage-lens", "access"))
    ):
        return f"{shown(resource)}: a bucket's ARN has no region and no account"
    if service == "iam" and region not in ("", "*"):
        return f"{shown(resource)}: IAM resource ARNs have no region"
    return ""


def _principal_faults(statement: Mapping[str, Any], shape: PolicyShape) -> Iterator[str]:
    key, problem = _one_of_pair(statement, "Principal")
    if shape.principal == "forbidden":
        if "Principal" in statement or "NotPrincipal" in statement:
            yield ": policy document should not specify a principal"
        return
    if key is None:
        yield problem
        return
    principal = statement[key]
    if principal is UNKNOWN or principal == "*":
        return
    if not isinstance(principal, Mapping) or not principal:
        yield f'.{key}: expected "*" or an object of {", ".join(_PRINCIPAL_KINDS)}; got {shown(principal)}'
        return
    for kind, value in principal.items():
        if kind not in _PRINCIPAL_KINDS:
            yield f".{key}: unknown kind {shown(kind)}; allowed are {', '.join(_PRINCIPAL_KINDS)}"
            continue
        names, problem = _strings(value, f".{key}.{kind}")
        if problem:
            yield problem
        for name in names:
            if not _valid_principal(kind, name):
                yield f'.{key}: Invalid principal in policy: "{kind}":"{name}"'


def _valid_principal(kind: str, name: str) -> bool:
    if kind == "AWS":
        return name == "*" or bool(
            re.fullmatch(r"\d{12}|A(ROA|IDA|GPA)[A-Z0-9]{12,}", name) or _PRINCIPAL_ARN.fullmatch(name)
        )
    if kind == "Service":
        return bool(_SERVICE.fullmatch(name))
    if kind == "Federated":
        return bool(_PRINCIPAL_ARN.fullmatch(name) or re.fullmatch(r"[a-z0-9.-]+\.[a-z]{2,}(/.*)?", name))
    return bool(re.fullmatch(r"[0-9a-f]{64}|[A-Z0-9]+", name))


def _condition_faults(condition: object) -> Iterator[str]:
    if condition is UNKNOWN:
        return
    if not isinstance(condition, Mapping):
        yield f".Condition: expected an object of operators, got {shown(condition)}"
        return
    for operator, tests in condition.items():
        base = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:")
        base = base.removesuffix("IfExists") if base != "NullIfExists" else base
        if base not in _OPERATORS:
            yield f".Condition: Invalid Condition type : {operator}"
            continue
        if tests is UNKNOWN:
            continue
        if not isinstance(tests, Mapping) or not tests:
            yield f".Condition.{operator}: expected an object of condition keys, got {shown(tests)}"
            continue
        for key, value in tests.items():
            where = f".Condition.{operator}.{key}"
            if not _CONDITION_KEY.fullmatch(key):
                yield f"{where}: condition keys must be prefixed by a vendor, such as aws:SourceArn"
            values = value if isinstance(value, list) else [value]
            for item in values:
                if item is not UNKNOWN:
                    reason = _condition_value_fault(base, item)
                    if reason:
                        yield f"{where}: {reason}"


def _condition_value_fault(operator: str, value: object) -> str:
    if isinstance(value, Mapping | list) or value is None:
        return f"expected text, a number or a boolean; got {shown(value)}"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "${" in text:
        return ""
    if operator in _BOOLEAN_OPERATORS and text.lower() not in ("true", "false"):
        return f"expected true or false, got {shown(value)}"
    if operator in _NUMERIC_OPERATORS and not re.fullmatch(r"-?\d+(\.\d+)?", text):
        return f"expected a number, got {shown(value)}"
    if operator in _DATE_OPERATORS and not re.fullmatch(
        r"\d{4}-\d{2}-\d{2}(T[0-9:.]+(Z|[+-]\d{2}:?\d{2})?)?|\d+", text
    ):
        return f"expected an ISO 8601 date or epoch seconds, got {shown(value)}"
    if operator in _ADDRESS_OPERATORS:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            return f"expected an IP address or CIDR, got {shown(value)}"
    if operator.startswith("Arn") and not text.startswith("arn:") and text != "*" and "*" not in text.split(":")[0]:
        return f"expected an ARN, got {shown(value)}"
    return ""


def statements(value: object) -> list[Mapping[str, Any]]:
    """The statements of a document that may be text; none when it does not parse."""
    document, _ = parse(value)
    found = document.get("Statement") if document else None
    if isinstance(found, Mapping):
        return [found]
    return [s for s in found if isinstance(s, Mapping)] if isinstance(found, list) else []


def principals(value: object) -> Iterator[str]:
    """The AWS principals of a document that are ARNs."""
    for statement in statements(value):
        for key in ("Principal", "NotPrincipal"):
            principal = statement.get(key)
            if isinstance(principal, Mapping):
                yield from (n for n in _strings(principal.get("AWS", UNKNOWN), "")[0] if n.startswith("arn:"))


def resources(value: object) -> Iterator[str]:
    """The known Resource and NotResource entries of a document."""
    for statement in statements(value):
        for key in ("Resource", "NotResource"):
            if key in statement:
                yield from _strings(statement[key], "")[0]


def require_principals(value: object, cloud: Cloud, code: str = "MalformedPolicyDocument") -> None:
    """Refuse principals of this account that do not exist: IAM resolves them when the policy is stored.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_policies.html"""
    for arn in principals(value):
        match = re.fullmatch(rf"arn:[a-z-]+:iam::{cloud.account}:(role|user)/(?:.*/)?([^/]+)", arn)
        if match is None or (match.group(1) == "role" and "/aws-service-role/" in arn):
            continue
        token = "aws:iam/role:Role" if match.group(1) == "role" else "aws:iam/user:User"
        if not any(resource["arn"] == arn for resource in cloud.all(token)):
            raise CloudError(code, f'Invalid principal in policy: "AWS":"{arn}"')


def out_of_scope(value: object, belongs: Callable[[str], bool]) -> Iterable[str]:
    """The resources of a resource policy that are not the resource's own."""
    return [r for r in resources(value) if r != "*" and not belongs(r)]
