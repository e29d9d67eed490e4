"""Regional managed instance groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import group_rules as rules
from sandbox.gcp import links, places, tokens
from sandbox.gcp.api import ComputeKind, Use, fingerprint, invalid, kept, number, project_of, resolve
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, matches, one_of

TEMPLATES: Final = (tokens.INSTANCE_TEMPLATE, tokens.REGION_INSTANCE_TEMPLATE)
OF_TEMPLATE: Final = Use("versions[*].instanceTemplate", TEMPLATES, bare=False, by_name=False)
# Compute Engine takes a global and a regional check for autohealing, but only one of the group's own region
# (https://docs.cloud.google.com/compute/docs/instance-groups/autohealing-instances-in-migs).
OF_CHECK: Final = Use(
    "autoHealingPolicies.healthCheck", (tokens.HEALTH_CHECK, tokens.REGION_HEALTH_CHECK), bare=False, by_name=False
)
# https://docs.cloud.google.com/compute/docs/instance-groups/regional-migs#limitations
SIZE_MAX: Final = 4000


@GCP.kind
class RegionInstanceGroupManager(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers

    `waitForInstances` waits for a group to be stable, which with scarce types is never; the stand-in's instances exist
    at once unless the weather says otherwise, and then an `up` that waits fails, as the real one does.
    """

    token = tokens.GROUP
    collection = "instanceGroupManagers"
    label = "instance_group_manager"
    regional = True
    replace_on = (
        "name", "baseInstanceName", "description", "distributionPolicyZones", "params", "project",
        "targetSizePolicies[*].mode",
    )  # fmt: skip
    sets = (
        "distributionPolicyZones", "namedPorts", "targetPools", "statefulDisks",
        "instanceFlexibilityPolicy.instanceSelections",
        "instanceFlexibilityPolicy.instanceSelections[*].machineTypes",
    )  # fmt: skip
    uses = (OF_TEMPLATE, OF_CHECK)
    write_only = ("waitForInstances", "waitForInstancesStatus", "listManagedInstancesResults", "deletionPolicy")
    defaults: ClassVar[Mapping[str, Any]] = {
        "listManagedInstancesResults": "PAGELESS",
        "waitForInstances": False,
        "waitForInstancesStatus": "STABLE",
    }
    changes_on_update = ("fingerprint",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args,
            "baseInstanceName",
            r"[a-z](?:[-a-z0-9]{0,56}[a-z0-9#])?(?:-?#{1,10})?",
            "1 to 58 lower-case letters, digits and hyphens, a letter first",
        )
        yield from between(args, "targetSize", 0, SIZE_MAX)
        yield from between(args, "targetStoppedSize", 0, SIZE_MAX)
        yield from between(args, "targetSuspendedSize", 0, SIZE_MAX)
        yield from one_of(args, "listManagedInstancesResults", ("PAGELESS", "PAGINATED"))
        yield from one_of(args, "waitForInstancesStatus", ("STABLE", "UPDATED"))
        yield from one_of(args, "targetSizePolicies[*].mode", ("BULK", "INDIVIDUAL"))
        yield from rules.zone_faults(args)
        yield from rules.version_faults(args)
        yield from rules.flexibility_faults(args)
        yield from rules.healing_faults(args)
        yield from rules.update_faults(args)
        yield from rules.port_faults(args)
        yield from rules.stateful_faults(args)

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return links.rewrite(super().comparable(inputs), "distributionPolicyZones[*]", links.name_of)

    def replace_when(self, old: Args, new: Args) -> Iterable[str]:
        """A workload policy cannot be taken away (ForceNewResourcePoliciesWorkloadPolicyIfNewIsEmpty)."""
        before = (old.get("resourcePolicies") or {}).get("workloadPolicy")
        after = (new.get("resourcePolicies") or {}).get("workloadPolicy")
        return ("resourcePolicies",) if before and not after and not new.is_unknown("resourcePolicies") else ()

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        zones = zones_of(args, cloud)
        for zone in zones:
            if zone not in places.zones(cloud.region):
                raise invalid("distributionPolicy.zones", zone, f"The zone is not in the region {cloud.region}.")
        if len(places.zones(cloud.region)) and not zones:
            raise invalid("distributionPolicy.zones", "", "At least one zone is needed.")
        templates = templates_of(args, cloud)
        for template in templates:
            rules.check_template(template, args, zones, cloud)
        rules.check_update_sizes(args, zones)
        self._check_sizes(args, templates, cloud, old)

    @staticmethod
    def _check_sizes(args: Args, templates: list[Resource], cloud: Cloud, old: Resource | None) -> None:
        """GPU quotas, where the program sets a size; what cannot be had yet is no error of the group.

        An `up` that waits for instances fails where the weather has none.
        """
        size = args.get("targetSize")
        before = old["targetSize"] or 0 if old is not None else 0
        if size is None or size <= before or not templates:
            return
        rules.check_quotas(args, templates[0], size, cloud, old)
        if args.get("waitForInstances"):
            rules.check_capacity(args, templates[0], zones_of(args, cloud), cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        project = project_of(args, cloud)
        zones = zones_of(args, cloud)
        size = args.get("targetSize")
        numeric = int(kept(old, "instanceGroupManagerId", 0) or number()[:15])
        status = {"isStable": True, "versionTargets": [{"isReached": True}], "allInstancesConfigs": [], "statefuls": []}
        return {
            **self.common(id, args, cloud, old),
            "instanceGroup": links.self_link(
                f"projects/{project}/regions/{cloud.region}/instanceGroups/{args['name']}"
            ),
            "instanceGroupManagerId": numeric,
            "fingerprint": fingerprint(),
            "distributionPolicyZones": list(zones),
            "distributionPolicyTargetShape": args.get("distributionPolicyTargetShape") or "EVEN",
            "targetSize": kept(old, "targetSize", 0) if size is None else size,
            "targetStoppedSize": args.get("targetStoppedSize") or 0,
            "targetSuspendedSize": args.get("targetSuspendedSize") or 0,
            "updatePolicy": self._update_policy(args, zones),
            "instanceLifecyclePolicy": {
                "defaultActionOnFailure": "REPAIR",
                "onFailedHealthCheck": "DEFAULT_ACTION",
                "forceUpdateOnRepair": "NO",
                **(args["instanceLifecyclePolicy"] or {}),
            },
            "standbyPolicy": {"mode": "MANUAL", "initialDelaySec": 0, **(args["standbyPolicy"] or {})},
            "statuses": [status],
        }

    @staticmethod
    def _update_policy(args: Args, zones: tuple[str, ...]) -> dict[str, Any]:
        """With what the API fills in: as many instances more and fewer as there are zones."""
        policy = dict(args["updatePolicy"] or {})
        filled: dict[str, Any] = {"type": "OPPORTUNISTIC", "minimalAction": "REPLACE", **policy}
        for what in ("maxSurge", "maxUnavailable"):
            if policy.get(f"{what}Fixed") is None and policy.get(f"{what}Percent") is None:
                filled[f"{what}Fixed"] = len(zones)
        filled.setdefault("instanceRedistributionType", "PROACTIVE")
        filled.setdefault("replacementMethod", "SUBSTITUTE")
        return filled


def zones_of(args: Args, cloud: Cloud) -> tuple[str, ...]:
    """The zones of a group: those it names, or the default ones of its region."""
    named = args.get("distributionPolicyZones")
    return tuple(links.name_of(zone) for zone in named) if named else places.default_zones(cloud.region)


def templates_of(args: Args, cloud: Cloud) -> list[Resource]:
    """The templates of a group's versions, in order."""
    found = [
        resolve(cloud, OF_TEMPLATE, version.get("instanceTemplate"), project_of(args, cloud))
        for version in args.get("versions") or []
    ]
    missing = [v for v, t in zip(args.get("versions") or [], found, strict=True) if t is None]
    if missing:
        raise CloudError("notFound", f"The resource '{missing[0].get('instanceTemplate')}' was not found")
    return [template for template in found if template is not None]
