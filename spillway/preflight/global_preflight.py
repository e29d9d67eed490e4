"""The rows of a global stack: which provider's checks, and who is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import stackfile
from infra.dns.config import load_global
from spillway.errors import SpillwayError
from spillway.preflight.delegation import ParentServers
from spillway.preflight.deployed import Plans, foreseen, plans, read
from spillway.preflight.global_context import GlobalContext, Parents
from spillway.preflight.member_checks import MEMBERS, FromHere, InStandIn, Prober
from spillway.preflight.model import Check, Row, Say, run
from spillway.preflight.plan_checks import DEPLOYED, PROVIDER_CHANGE
from spillway.preflight.stack_outputs import EngineOutputs, SandboxOutputs, StackOutputs

if TYPE_CHECKING:
    from infra.dns.sections import GlobalStack


def global_rows(
    path: Path, stack: str, now: datetime, sandbox: Path | None, profile: str | None, say: Say
) -> list[Row]:
    """The rows of one global stack's file. sandbox: the stand-in clouds' directory, None for the real ones.

    profile: of AWS. Raises ConfigError for a faulty file and Unreachable when nothing can be asked.
    """
    config = load_global(path, stack)
    provider = config.dns.provider
    if profile is not None and provider != "route53":
        raise SpillwayError(f"preflight: --profile {profile} goes with AWS, and {stack} says dns.provider: {provider}")
    file = stackfile.display_name(path)
    if provider == "route53":
        account, checks = _route53(config, sandbox, profile)
    else:
        account, checks = (_cloudflare if provider == "cloudflare" else _azure)(config, sandbox)
    parents: Parents | None = None
    prober: Prober = FromHere()
    if sandbox is None:
        parents = ParentServers()
    else:
        prober = InStandIn(sandbox)
    first = foreseen(config, path.parent, file)
    context = GlobalContext(stack, config, Plans(first, first), account, parents, now, prober)
    # Whose account it is comes first: with another one, or none, no stack has to be read.
    rows = run(checks[:1], context, say)
    if checks[0].decisive and any(row.state == "failure" for row in rows):
        return rows
    say("region stacks")
    regions = read(config, stack, _outputs(path, sandbox))
    context = replace(context, regions=regions, plans=plans(config, regions, path.parent, file))
    rows += run(DEPLOYED, context, say)
    if any(row.id == PROVIDER_CHANGE for row in rows):  # what the other provider holds is not this stack's to take
        return rows
    return rows + run((*checks[1:], MEMBERS), context, say)


def _outputs(path: Path, sandbox: Path | None) -> StackOutputs:
    """The stacks of the project that holds the stack file, or those of the sandbox."""
    if sandbox is not None:
        return SandboxOutputs(sandbox)
    return EngineOutputs(path.absolute().parent.parent)


Asked = tuple[Any, Sequence[Check[Any]]]
"""Whom a provider's checks ask, and the checks: each provider's account has a protocol of its own."""


def _route53(config: GlobalStack, sandbox: Path | None, profile: str | None) -> Asked:
    from spillway.preflight.route53_checks import CHECKS, HOME

    assert config.route53 is not None
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInRoute53

        return StandInRoute53(sandbox, config.route53.account), CHECKS
    from spillway.preflight.aws_calls import session
    from spillway.preflight.aws_region.account import AwsAccount
    from spillway.preflight.route53 import AwsRoute53

    return AwsRoute53(AwsAccount(session(HOME, profile), HOME)), CHECKS


def _cloudflare(config: GlobalStack, sandbox: Path | None) -> Asked:
    from spillway.preflight.cloudflare_checks import CHECKS

    assert config.cloudflare is not None
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInCloudflare

        return StandInCloudflare(sandbox, config.cloudflare.account), CHECKS
    from spillway.preflight import cloudflare

    return cloudflare.connect(config.cloudflare.account), CHECKS


def _azure(config: GlobalStack, sandbox: Path | None) -> Asked:
    from spillway.preflight.azure_checks import CHECKS

    assert config.traffic_manager is not None
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInAzure

        return StandInAzure(sandbox, config.traffic_manager.subscription), CHECKS
    from spillway.preflight import azure

    return azure.connect(config.traffic_manager.subscription), CHECKS
