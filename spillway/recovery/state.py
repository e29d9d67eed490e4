"""A stack's exported state: what it owns, and the order of things taken into it. Pure.

The file is what `pulumi stack export` writes
(https://www.pulumi.com/docs/iac/cli/commands/pulumi_stack_export/); `pulumi stack import` checks it as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from spillway.recovery.model import PROVIDERS, RECOVERED, Rules, name_of, strings, type_of

Resource = dict[str, Any]


class State:
    """What `pulumi stack export` says."""

    def __init__(self, exported: Mapping[str, Any]) -> None:
        self.exported = exported
        deployment = exported.get("deployment") or {}
        self.resources: list[Resource] = deployment.get("resources") or []
        self.pending: list[Mapping[str, Any]] = deployment.get("pending_operations") or []
        self.live: dict[str, Resource] = {r["urn"]: r for r in self.resources if not r.get("delete")}

    def id(self, urn: str) -> str | None:
        """The id of a resource in the state; None for components and what is not there."""
        resource = self.live.get(urn)
        return resource.get("id") if resource else None

    def holds(self, rules: Rules, token: str, id: str, key: str | None, region: str) -> bool:
        """Whether a resource of the cloud is in the state, also as one that waits for deletion."""
        wanted, same = rules.canonical(token), rules.id_key(id)
        for resource in self.resources:
            if rules.canonical(resource["type"]) != wanted:
                continue
            outputs = resource.get("outputs") or resource.get("inputs") or {}
            names = (resource.get("id"), outputs.get("arn"))
            if any(isinstance(name, str) and rules.id_key(name) == same for name in names):
                return True
            here = str(outputs.get("region") or "")
            if (
                key is not None
                and rules.key(resource["type"], outputs) == key
                and (not here or not region or here == region)
            ):
                return True
        return False

    def owned(self) -> list[tuple[str, Mapping[str, Any]]]:
        """(type, properties) of every resource, inputs where the cloud does not tell them."""
        return [
            (r["type"], {**(r.get("inputs") or {}), **(r.get("outputs") or {})})
            for r in self.resources
            if r.get("custom")
        ]

    def ids(self) -> dict[str, str]:
        """URN -> id of what is not to be deleted."""
        return {urn: r["id"] for urn, r in self.live.items() if r.get("custom") and r.get("id")}

    def waiting(self) -> list[Resource]:
        """What earlier recoveries took in so that the next `up` deletes it."""
        return [r for r in self.resources if r.get("custom") and name_of(r["urn"]).startswith(RECOVERED)]

    def taken(self, urn: str) -> bool:
        """Whether anything has this URN, be it only something that waits for deletion."""
        return any(resource["urn"] == urn for resource in self.resources)

    def providers(self) -> list[Resource]:
        return [r for r in self.live.values() if r["type"].startswith(PROVIDERS)]

    def pending_urns(self) -> list[tuple[str, str]]:
        """(operation, URN) of what was under way when an update ended."""
        return [(str(p.get("type")), str((p.get("resource") or {}).get("urn"))) for p in self.pending]


def put_in_place(exported: Mapping[str, Any], moves: Mapping[str, tuple[str, str | None]]) -> dict[str, Any]:
    """A copy of the state in which resources take the place of others: {URN now: (URN wanted, its parent)}.

    What had the wanted URN waits for deletion, as the engine itself writes down a replacement that is half done
    (https://github.com/pulumi/pulumi/blob/v3.163.0/sdk/go/common/apitype/core.go, ResourceV3.Delete). An import under a
    URN that other resources depend on leaves a state in the wrong order, hence this way round.
    """
    changed = deepcopy(dict(exported))
    resources: list[Resource] = changed["deployment"]["resources"]
    wanted = {urn for urn, _ in moves.values()}
    for resource in resources:
        if resource["urn"] in wanted:
            resource["delete"] = True
    for resource in resources:
        if resource["urn"] in moves and not resource.get("delete"):
            resource["urn"], parent = moves[resource["urn"]]
            if parent is not None:
                resource["parent"] = parent
    changed["deployment"]["resources"] = ordered(resources)
    return changed


def linked(exported: Mapping[str, Any], urns: Iterable[str]) -> dict[str, Any] | None:
    """A copy of the state in which imported resources depend on what their inputs name; None when nothing is missing.

    An import writes down no dependencies. The next `up` adds those of resources that the program has; of the others,
    and before a `destroy`, the engine would delete a network together with what is in it.
    """
    changed = deepcopy(dict(exported))
    resources: list[Resource] = changed["deployment"].get("resources") or []
    live = {r["urn"]: r for r in resources if not r.get("delete")}
    by_id: dict[str, list[str]] = {}
    for urn, resource in live.items():
        if resource.get("custom") and not resource["type"].startswith(PROVIDERS):
            for name in {resource.get("id"), (resource.get("outputs") or {}).get("arn")} - {None, ""}:
                by_id.setdefault(str(name), []).append(urn)
    added = False
    for urn in urns:
        if urn not in live:
            continue
        resource = live[urn]
        known = set(resource.get("dependencies") or ())
        texts = strings(resource.get("inputs") or {}, skip=("tags", "tagsAll"))
        named = {target for s in texts for id in meant(s) for target in by_id.get(id, ())}
        for target in sorted(named - known - {urn}):
            if not _reaches(live, target, urn):
                resource.setdefault("dependencies", []).append(target)
                added = True
    if not added:
        return None
    changed["deployment"]["resources"] = ordered(resources)
    return changed


_SELF_LINK = "https://www.googleapis.com/compute/v1/"


def meant(text: str) -> Iterator[str]:
    """The ids that a text may stand for: as it is; on Azure also of what a part is in, as a pool is in its balancer; on
    Google Cloud as the end of a self link, where an instance group goes by its manager.

    https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers (instanceGroup)
    """
    yield text
    if text.lower().startswith("/subscriptions/"):
        while (text := text.rpartition("/")[0]).count("/") > 2:  # a subscription is nobody's
            yield text
    elif text.startswith(_SELF_LINK):
        yield text.removeprefix(_SELF_LINK).replace("/instanceGroups/", "/instanceGroupManagers/")


def ordered(resources: list[Resource]) -> list[Resource]:
    """The resources with everything after what it depends on, else in the order given; the engine insists on it."""
    by_urn: dict[str, list[Resource]] = {}
    for resource in resources:
        by_urn.setdefault(resource["urn"], []).append(resource)
    out: list[Resource] = []
    seen: set[int] = set()

    def place(resource: Resource) -> None:
        if id(resource) in seen:
            return
        seen.add(id(resource))
        for urn in _needs(resource):
            for other in by_urn.get(urn, ()):
                place(other)
        out.append(resource)

    for resource in resources:
        place(resource)
    return out


def _needs(resource: Resource) -> list[str]:
    needs = [*(resource.get("dependencies") or ())]
    for urns in (resource.get("propertyDependencies") or {}).values():
        needs += urns or ()
    provider = str(resource.get("provider") or "").rpartition("::")[0]
    return [urn for urn in (provider, resource.get("parent"), resource.get("deletedWith"), *needs) if urn]


def _reaches(live: Mapping[str, Resource], start: str, goal: str) -> bool:
    todo, seen = [start], set()
    while todo:
        urn = todo.pop()
        if urn == goal:
            return True
        if urn not in seen:
            seen.add(urn)
            todo += _needs(live[urn]) if urn in live else []
    return False


def provider_for(candidates: Iterable[tuple[str, Mapping[str, Any]]], token: str, region: str) -> str | None:
    """Of (URN, inputs) of providers, the URN of one of the type's package: that of the region if there is one."""
    fitting = [(urn, inputs) for urn, inputs in candidates if type_of(urn) == PROVIDERS + token.split(":", 1)[0]]
    for urn, inputs in fitting:
        if inputs.get("region") == region:
            return urn
    return fitting[0][0] if fitting else None
