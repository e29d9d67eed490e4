"""Lifecycle management of blobs. https://learn.microsoft.com/azure/storage/blobs/lifecycle-management-policy-structure"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import tokens
from sandbox.azure_native.regional import nothing, now
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.azure_native.storage import InAccount, need_account
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of
from sandbox.values import UNKNOWN

RULES_MAX: Final = 100
PREFIXES_MAX: Final = 10
_TIERS: Final = ("tierToHot", "tierToCool", "tierToCold", "tierToArchive", "delete")
_DAYS: Final = (
    "daysAfterModificationGreaterThan", "daysAfterCreationGreaterThan", "daysAfterLastAccessTimeGreaterThan",
    "daysAfterLastTierChangeGreaterThan",
)  # fmt: skip


def _action_faults(path: str, actions: object) -> Iterator[Fault]:
    if not isinstance(actions, dict):
        return
    given = {key: value for key, value in actions.items() if value is not None}
    if all(nothing(steps) for steps in given.values()):
        yield Fault(path, "expected at least one action on baseBlob, snapshot or version")
    for target, steps in given.items():
        if not isinstance(steps, dict):
            continue
        for name, step in steps.items():
            if not isinstance(step, dict) or name not in _TIERS:
                continue
            ages = [key for key in _DAYS[:3] if step.get(key) is not None]
            if len(ages) != 1 and UNKNOWN not in step.values():
                yield Fault(f"{path}.{target}.{name}", f"expected one of {', '.join(_DAYS[:3])}; got {len(ages)}")
        # What is to be deleted before it is moved is never moved.
        days = {n: s.get("daysAfterModificationGreaterThan") for n, s in steps.items() if isinstance(s, dict)}
        delete = days.get("delete")
        for name in _TIERS[:-1]:
            moved = days.get(name)
            if isinstance(delete, int | float) and isinstance(moved, int | float) and delete < moved:
                yield Fault(f"{path}.{target}.delete", f"comes before {name}: {delete} days and {moved}")


@AZURE_NATIVE.kind
class ManagementPolicy(InAccount):
    """The one policy of an account."""

    token = tokens.MANAGEMENT_POLICY
    type_name = "managementPolicies"
    name_property = "managementPolicyName"
    name_rule = (r"default", "default, the only one")
    path = ("resourceGroupName", "accountName", "managementPolicyName")
    replace_on = path
    changes_on_update = ("lastModifiedTime",)

    def rules(self, args: Args) -> Iterable[Fault]:
        if args["managementPolicyName"] is None:
            yield Fault("managementPolicyName", "is required: default")
        at = "policy.rules"
        yield from length(args, at, 1, RULES_MAX)
        yield from one_of(args, f"{at}[*].type", ("Lifecycle",))
        yield from matches(args, f"{at}[*].name", r"[A-Za-z0-9][\w-]{0,255}", "up to 256 letters, digits, `-` and `_`")
        yield from one_of(args, f"{at}[*].definition.filters.blobTypes[*]", ("blockBlob", "appendBlob"))
        yield from length(args, f"{at}[*].definition.filters.prefixMatch", 1, PREFIXES_MAX)
        yield from length(args, f"{at}[*].definition.filters.blobIndexMatch", 1, PREFIXES_MAX)
        for path, prefix in args.at(f"{at}[*].definition.filters.prefixMatch[*]"):
            if not isinstance(prefix, str) or prefix.startswith("/"):
                yield Fault(path, "expected a prefix that begins with the name of a container")
        for days in _DAYS:
            yield from between(args, f"{at}[*].definition.actions.*[*][*].{days}", 0, 99_999, "days")
        names: dict[object, str] = {}
        for path, rule in args.at(f"{at}[*]"):
            if not isinstance(rule, dict):
                continue
            if rule.get("name") is not UNKNOWN and names.setdefault(rule.get("name"), path) != path:
                yield Fault(f"{path}.name", f"is taken by {names[rule.get('name')]}")
            definition = rule.get("definition")
            if isinstance(definition, dict):
                yield from _action_faults(f"{path}.definition.actions", definition.get("actions"))
                yield from self._append_faults(path, definition)

    @staticmethod
    def _append_faults(path: str, definition: dict[str, Any]) -> Iterator[Fault]:
        """Append blobs can only be deleted."""
        filters, actions = definition.get("filters"), definition.get("actions")
        if not isinstance(filters, dict) or not isinstance(actions, dict):
            return
        kinds = filters.get("blobTypes")
        if not isinstance(kinds, list) or "appendBlob" not in kinds:
            return
        for target, steps in actions.items():
            for name in steps if isinstance(steps, dict) else ():
                if name != "delete" and steps[name] is not None:
                    yield Fault(f"{path}.definition.actions.{target}.{name}", "is not for appendBlob: only delete is")

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [
            ("storageAccounts", str(args["accountName"])),
            ("managementPolicies", str(args["managementPolicyName"])),
        ]

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        account = need_account(cloud, args)
        if account["kind"] == "Storage":
            raise CloudError(
                "FeatureNotSupportedForAccount", "Lifecycle policies are not supported for accounts of kind Storage."
            )
        by_access = any(
            value is not None
            for _, value in args.at("policy.rules[*].definition.actions.baseBlob[*].daysAfterLastAccessTimeGreaterThan")
        )
        service = next(
            (s for s in cloud.all(tokens.BLOB_SERVICE) if s.id.lower().startswith(f"{account.id.lower()}/")), None
        )
        tracked = service is not None and (service["lastAccessTimeTrackingPolicy"] or {}).get("enable") is True
        if by_access and not tracked:
            raise CloudError(
                "LastAccessTimeTrackingNotEnabled",
                "Rules by last access time need lastAccessTimeTrackingPolicy on the account's blob service.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        policy = {"rules": [{"enabled": True, **rule} for rule in args["policy"]["rules"]]}
        return {**self.common_outputs(args), "policy": policy, "lastModifiedTime": now()}
