"""`spillway dns checkers`: from which networks a provider's health checks come, for a firewall in front of a site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra import catalog
from infra.faults import did_you_mean, listed
from spillway.errors import SpillwayError

SERVICE_TAG: Final = "AzureTrafficManager"
"""Azure publishes its networks under it: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs"""
PROVIDERS: Final = ("route53", "cloudflare", "traffic-manager")


def checkers(
    stack: Annotated[str, typer.Option(help="The global stack whose file says the provider.")] = "global",
    stacks: Annotated[Path, typer.Option(help="Folder of stack files.")] = Path("stacks"),
    provider: Annotated[str | None, typer.Option(help=f"{listed(PROVIDERS)}, instead of the stack's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """The networks to let in on the service's port: the provider's health checkers, and Cloudflare's proxies.

    Region stacks let them in by themselves (`network.checkers`); a site on premises needs them in its firewall.
    """
    if provider is None:
        from infra.dns.config import load_global

        provider = load_global(stacks / f"Pulumi.{stack}.yaml").dns.provider
    if provider not in PROVIDERS:
        hint = did_you_mean(provider, PROVIDERS)
        raise SpillwayError(f"--provider {provider}: has to be {listed(PROVIDERS)}{hint}")
    found = networks(provider)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    if not found["networks"]:
        typer.echo(
            f"{provider}: the service tag {SERVICE_TAG}, whose networks Azure publishes once a week: {found['source']}"
        )
        return
    typer.echo("\n".join(found["networks"]))
    typer.echo(f"{provider}, as of {found['observed']}: {found['source']}", err=True)


def networks(provider: str) -> dict[str, Any]:
    """provider, networks (CIDR), observed (YYYY-MM-DD or None), source, and for Azure the service tag."""
    if provider == "traffic-manager":
        source = "https://www.microsoft.com/download/details.aspx?id=56519"
        return {"provider": provider, "serviceTag": SERVICE_TAG, "networks": [], "observed": None, "source": source}
    data = catalog.checkers(provider)
    return {
        "provider": provider,
        "networks": list(data["networks"]),
        "observed": str(data["observed"]),
        "source": data["source"],
    }
