"""The rows of a global stack: which provider's checks, and who is asked."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from infra import stackfile
from infra.dns.config import load_global
from spillway.preflight.global_context import GlobalContext, Parents, foreseen
from spillway.preflight.member_checks import MEMBERS, FromHere, InStandIn, Prober
from spillway.preflight.model import Row, Say, run

if TYPE_CHECKING:
    from infra.dns.plan import GlobalPlan
    from infra.dns.sections import GlobalStack
    from spillway.preflight.azure_checks import AzureAccount
    from spillway.preflight.cloudflare_checks import CloudflareAccount
    from spillway.preflight.route53_checks import Route53Account


def global_rows(
    path: Path, stack: str, now: datetime, sandbox: Path | None, profile: str | None, say: Say
) -> list[Row]:
    """The rows of one global stack's file. sandbox: the stand-in clouds' directory, None for the real ones.

    Raises ConfigError for a faulty file and Unreachable when nothing can be asked.
    """
    config = load_global(path, stack)
    plan = foreseen(config, path.parent, stackfile.display_name(path))
    if config.dns.provider == "route53":
        return _route53(config, plan, stack, now, sandbox, profile, say)
    if config.dns.provider == "cloudflare":
        return _cloudflare(config, plan, stack, now, sandbox, say)
    return _azure(config, plan, stack, now, sandbox, say)


def _prober(sandbox: Path | None) -> Prober:
    return FromHere() if sandbox is None else InStandIn(sandbox)


def _parents(sandbox: Path | None) -> Parents | None:
    if sandbox is not None:
        return None
    from spillway.preflight.delegation import ParentServers

    return ParentServers()


def _route53(
    config: GlobalStack,
    plan: GlobalPlan,
    stack: str,
    now: datetime,
    sandbox: Path | None,
    profile: str | None,
    say: Say,
) -> list[Row]:
    from spillway.preflight.route53_checks import CHECKS, HOME, Context

    assert config.route53 is not None
    account: Route53Account
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInRoute53

        account = StandInRoute53(sandbox, config.route53.account)
    else:
        from spillway.preflight.aws import AwsAccount
        from spillway.preflight.aws_calls import session
        from spillway.preflight.route53 import AwsRoute53

        account = AwsRoute53(AwsAccount(session(HOME, profile), HOME))
    context: Context = GlobalContext(stack, config, plan, account, _parents(sandbox), now, _prober(sandbox))
    return run((*CHECKS, MEMBERS), context, say)


def _cloudflare(
    config: GlobalStack, plan: GlobalPlan, stack: str, now: datetime, sandbox: Path | None, say: Say
) -> list[Row]:
    from spillway.preflight.cloudflare_checks import CHECKS, Context

    assert config.cloudflare is not None
    account: CloudflareAccount
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInCloudflare

        account = StandInCloudflare(sandbox, config.cloudflare.account)
    else:
        from spillway.preflight import cloudflare

        account = cloudflare.connect(config.cloudflare.account)
    context: Context = GlobalContext(stack, config, plan, account, _parents(sandbox), now, _prober(sandbox))
    return run((*CHECKS, MEMBERS), context, say)


def _azure(
    config: GlobalStack, plan: GlobalPlan, stack: str, now: datetime, sandbox: Path | None, say: Say
) -> list[Row]:
    from spillway.preflight.azure_checks import CHECKS, Context

    assert config.traffic_manager is not None
    account: AzureAccount
    if sandbox is not None:
        from spillway.preflight.global_stand_in import StandInAzure

        account = StandInAzure(sandbox, config.traffic_manager.subscription)
    else:
        from spillway.preflight import azure

        account = azure.connect(config.traffic_manager.subscription)
    context: Context = GlobalContext(stack, config, plan, account, _parents(sandbox), now, _prober(sandbox))
    return run((*CHECKS, MEMBERS), context, say)
