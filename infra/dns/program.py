"""What `pulumi up` of a global stack runs: ask the region stacks for their endpoints, plan, build with one provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pulumi
from pulumi import ResourceOptions

from infra import sdks, stackfile
from infra.dns import budget
from infra.dns.common import ExistingZone, Outputs, ProviderArgs
from infra.dns.config import load_global, parse_global
from infra.dns.plan import NOT_DEPLOYED, Endpoint, GlobalPlan, PlanError, ServicePlan, build
from infra.dns.sections import GlobalStack
from infra.dns.settings import check_settings
from infra.faults import ConfigError, Fault, NotFound, reason
from infra.stackfile import GLOBAL_KEY

SDKS: Final = {"route53": "aws", "cloudflare": "cloudflare", "traffic-manager": "azure"}
"""Provider -> the extra with its SDK."""
_NO_STACK: Final = "unknown stack"
"""https://github.com/pulumi/pulumi/blob/master/pkg/backend/backend.go (the backend client's GetStackOutputs)."""
_READ_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"


class Unreadable(Exception):
    """The backend did not say what a stack's outputs are; the text is one line."""


def read_global(held: Callable[[], object], stack: str, root: Path, stacks: str) -> GlobalStack:
    """The global stack's settings as the engine holds them, checked. Raises ConfigError.

    The file comes first: it says what is wrong where the engine only knows that it holds no object. Before all that
    comes the one thing that no other edit of the file can mend: another provider on a live stack.
    """
    path = root / stacks / f"Pulumi.{stack}.yaml"
    file = stackfile.display_name(path)
    try:
        if path.is_file():  # --config-file may point elsewhere
            load_global(path, stack)
        config = parse_global(held(), stack, file, path.parent)
    except ConfigError:
        refuse_change(_provider_word(path), stack, file)
        raise
    refuse_change(config.dns.provider, stack, file)
    return config


def _provider_word(path: Path) -> object:
    """What a faulty file says under dns.provider, as far as it can be read."""
    try:
        found = stackfile.read_with_faults(path)[0].get(GLOBAL_KEY)
    except ConfigError:
        return None
    dns = found.get("dns") if isinstance(found, dict) else None
    return dns.get("provider") if isinstance(dns, dict) else None


def endpoints(config: GlobalStack, file: str) -> dict[str, Endpoint]:
    """Where each member answers, by its name: what the stack file says, or the region stack's output `endpoint`.

    A planned member is left out; a drained one may be missing. Raises ConfigError with a line for every other one.
    """
    found: dict[str, Endpoint] = {}
    faults: list[Fault] = []
    for number, member in enumerate(config.members):
        if member.endpoint is not None:
            found[member.name] = Endpoint.of_static(member.endpoint)
            continue
        assert member.stack is not None
        if member.planned:  # also when it is deployed by now: it joins by somebody's word, and drained first
            continue
        path = (GLOBAL_KEY, "members", number, "stack")
        try:
            output = stack_output(member.stack, "endpoint")
        except Unreadable as error:
            faults.append(Fault(path, f"cannot be read: {error}", member.stack))
            continue
        if output is not None:
            try:
                found[member.name] = Endpoint.from_output(output)
            except ValueError as error:
                faults.append(Fault(path, f"{error}: bring that stack up with this version first", member.stack))
        elif not member.drain:
            why = f"that stack is not deployed: {NOT_DEPLOYED}"
            faults.append(Fault(path, why, member.stack))
    if faults:
        raise ConfigError(fault.line(file) for fault in faults)
    return found


def stack_output(stack: str, output: str, *, refer: bool = True) -> Any:
    """One output of another stack of this project; None when that stack does not exist or has not got it.

    Raises Unreadable when the backend does not say.

    With `refer` the reference is registered, so that previews and states show what the global stack depends on; but it
    is read first, since a reference to a stack that is not there ends the program without naming it in plain words.
    """
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
    try:
        read = pulumi.runtime.invoke(_READ_OUTPUTS, {"name": name})
    except Exception as error:  # the SDK raises plain Exception for whatever the engine answers
        if _NO_STACK in str(error):
            return None
        raise Unreadable(reason(error)) from None
    outputs: dict[str, Any] = (read.value or {}).get("outputs") or {}
    if refer and output in outputs:
        pulumi.StackReference(stack, stack_name=name)
    return outputs.get(output)


def build_global(config: GlobalStack, stack: str, file: str) -> None:
    """Build the global stack and export who answers for what. Raises ConfigError before anything is registered."""
    provider = config.dns.provider
    sdks.require(SDKS[provider], file, f"{GLOBAL_KEY}.dns.provider", provider)
    found = endpoints(config, file)
    try:
        plan = build(config, found)
    except PlanError as error:
        raise _refused(error.faults, file) from None
    settings = replace(check_settings(config), addresses=max(len(p.endpoint.addresses) or 1 for p in plan.probes))
    missed = [*budget.faults(settings, config.dns.objective_seconds), *beyond_provider(config, plan)]
    if missed:
        raise _refused(missed, file)
    for name in plan.planned:
        pulumi.log.info(f"{file}: member {name} is planned: left out")
    try:
        made = _provider(config, stack, plan)
    except NotFound as error:
        raise ConfigError([f"{file}: {error}"]) from None
    pulumi.export("provider", config.dns.provider)
    pulumi.export("zone", made.zone)
    pulumi.export("nameServers", made.zone["nameServers"])
    pulumi.export("services", {service.name: _service(service) for service in plan.services})
    pulumi.export("answers", made.answers)
    pulumi.export("members", {probe.name: _member(probe.endpoint) for probe in plan.probes})
    pulumi.export("checks", made.checks)
    pulumi.export("clouds", made.clouds)
    pulumi.export("drained", list(plan.drained))
    pulumi.export("planned", list(plan.planned))
    pulumi.export("budget", budget.as_dict(budget.budget(settings), config.dns.objective_seconds))


def refuse_change(provider: object, stack: str, file: str) -> None:
    """Raises ConfigError when the deployed stack answers by another provider than this word, if it is one.

    The engine would make the new zone and then empty the old one, to which the parent still delegates: an outage. A
    provider is changed with a second stack; docs/dns.md says how.
    """
    if provider not in SDKS:
        return
    try:
        before = stack_output(stack, "provider", refer=False)
    except Unreadable:  # what the members' stacks say is asked next, and told
        return
    if before not in (None, provider):
        why = f"this stack answers by {before}: change the provider with a second global stack, as docs/dns.md says"
        raise ConfigError([f"{file}: {GLOBAL_KEY}.dns.provider = {provider}: {why}"])


def _refused(faults: Iterable[Fault], file: str) -> ConfigError:
    return ConfigError(fault.below(GLOBAL_KEY).line(file) for fault in faults)


def beyond_provider(config: GlobalStack, plan: GlobalPlan) -> Iterator[Fault]:
    """What the chosen provider cannot express of a plan; pure, so that it is told before anything is registered."""
    if config.dns.provider == "cloudflare" and config.cloudflare is not None:
        from infra.dns import cloudflare_pools

        yield from cloudflare_pools.faults(plan, config.cloudflare.plan)
    elif config.dns.provider == "traffic-manager":
        from infra.dns import traffic_profiles

        yield from traffic_profiles.faults(config, plan)


def _service(service: ServicePlan) -> dict[str, Any]:
    return {
        "policy": service.policy,
        "residency": service.residency,
        "tiers": [[place.name for place in tier.places] for tier in service.tiers],
    }


def _member(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "addresses": list(endpoint.addresses),
        "hostname": endpoint.hostname,
        "port": endpoint.port,
        "healthPath": endpoint.health_path,
        "cloud": endpoint.cloud,
        "region": endpoint.region,
        "nearestAwsRegion": endpoint.nearest_aws_region,
        "residency": endpoint.residency,
    }


def _provider(config: GlobalStack, stack: str, plan: GlobalPlan) -> Outputs:
    """The component of the chosen provider; only this imports an SDK, and only that one. Raises NotFound."""

    def args(zone: ExistingZone | None) -> ProviderArgs:
        return ProviderArgs(stack, config, plan, check_settings(config), zone)

    if config.dns.provider == "route53":
        from infra.dns import route53

        aws = route53.provider(stack, config)
        return route53.Route53(stack, args(route53.existing_zone(config, aws)), ResourceOptions(providers=[aws]))
    if config.dns.provider == "cloudflare":
        from infra.dns import cloudflare

        token = cloudflare.provider(stack, config)
        return cloudflare.Cloudflare(
            stack, args(cloudflare.existing_zone(config, token)), ResourceOptions(providers=[token])
        )
    from infra.dns import traffic_manager

    azure = traffic_manager.provider(stack, config)
    return traffic_manager.TrafficManager(
        stack, args(traffic_manager.existing_zone(config, azure)), ResourceOptions(providers=[azure])
    )
