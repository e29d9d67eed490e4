"""Systems Manager parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms
from sandbox.aws.formats import arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import exactly_one, length, matches, one_of, shown

PARAMETER: Final = "aws:ssm/parameter:Parameter"
# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html: bytes per tier
_MOST_BYTES: Final = {"Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}
_PER_REGION: Final = 10_000


@AWS.kind
class Parameter(Kind):
    token = PARAMETER
    replace_on = ("name", "dataType")
    write_only = ("overwrite", "valueWo", "valueWoVersion")
    defaults: ClassVar[Mapping[str, Any]] = {"dataType": "text", "tier": "Standard"}
    autoname = AutoName("name", 1011)
    unique = ("name",)
    duplicate_code = "ParameterAlreadyExists"
    changes_on_update = ("version",)
    secret_outputs = ("value",)
    not_found_code = "ParameterNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        # https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
        yield from matches(args, "name", r"[a-zA-Z0-9_.\-/]{1,1011}", "1 to 1,011 letters, digits and _.-/")
        for path, name in args.at("name"):
            if re.match(r"/?(aws|ssm)", name, re.IGNORECASE):
                yield Fault(path, f'names that begin with "aws" or "ssm" belong to AWS, got {shown(name)}')
            if "/" in name and not name.startswith("/"):
                yield Fault(path, f"a name with a hierarchy begins with /, got {shown(name)}")
            if name.count("/") > 15:
                yield Fault(path, f"expected at most 15 levels, got {name.count('/')}")
        yield from one_of(args, "type", ("String", "StringList", "SecureString"))
        yield from one_of(args, "tier", tuple(_MOST_BYTES))
        yield from one_of(args, "dataType", ("text", "aws:ssm:integration", "aws:ec2:image"))
        yield from exactly_one(args, "value", "insecureValue", "valueWo")
        yield from length(args, "description", 0, 1024)
        kind = args.get("type")
        if kind == "SecureString" and "insecureValue" in args:
            yield Fault("insecureValue", "is not for the type SecureString")
        if kind not in (None, "SecureString") and "keyId" in args:
            yield Fault("keyId", f"is for the type SecureString, not {kind}")
        most = _MOST_BYTES.get(args.get("tier", "Standard"), 4096)
        for key in ("value", "insecureValue", "valueWo"):
            for path, text in args.at(key):
                if not 1 <= len(text.encode()) <= most:
                    yield Fault(path, f"expected 1 to {most:,} bytes in this tier, got {len(text.encode()):,}")
                yield from _pattern_faults(args, path, text)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["name"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("keyId", ""), cloud, "InvalidKeyId")
        if len(cloud.all(PARAMETER, region=cloud.region)) + 1 > cloud.quota("L-C48A1534", _PER_REGION):
            raise CloudError(
                "ParameterLimitExceeded", "You have exceeded the number of parameters for this AWS account."
            )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("keyId", ""), cloud, "InvalidKeyId")
        if old["tier"] == "Advanced" and args.get("tier") == "Standard":
            raise CloudError(
                "ValidationException", "This parameter uses the advanced-parameter tier, which cannot be downgraded."
            )
        if args["type"] != old["type"] and "SecureString" in (args["type"], old["type"]):
            raise CloudError(
                "HierarchyTypeMismatch", f"The parameter's type cannot change from {old['type']} to {args['type']}."
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": arn("ssm", cloud.region, cloud.account, f"parameter{'' if id.startswith('/') else '/'}{id}"),
            "version": (old["version"] or 0) + 1 if old else 1,
            "keyId": args.get("keyId") or ("alias/aws/ssm" if args["type"] == "SecureString" else ""),
            "hasValueWo": args["valueWo"] is not None,
        }


def _pattern_faults(args: Args, path: str, text: str) -> Iterable[Fault]:
    pattern = args.get("allowedPattern")
    if not pattern:
        return
    try:
        fits = re.search(pattern, text) is not None
    except re.error as error:
        yield Fault("allowedPattern", f"expected a regular expression: {error}")
        return
    if not fits:
        yield Fault(path, f"must match allowedPattern {shown(pattern)}")
