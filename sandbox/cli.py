"""`spillway sandbox`: run Pulumi against the stand-in clouds, look at what they hold, make their weather."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated, Any

import typer

from infra.faults import shown
from sandbox.clouds import (
    DISTRIBUTIONS,
    VARIABLE,
    dismantle,
    is_sandbox,
    known_clouds,
    package_of,
    registry,
    sandbox_dir,
)
from sandbox.project import Project, command_line
from spillway.errors import SpillwayError, WrongUsage

app = typer.Typer(no_args_is_help=True, help="Stand-in clouds: deploy with no account, no credentials and no network.")
weather_app = typer.Typer(no_args_is_help=True, help="What the stand-in clouds are short of, and what fails there.")
app.add_typer(weather_app, name="weather")

dns_app = typer.Typer(no_args_is_help=True, help="The stand-in clouds' name servers.")
app.add_typer(dns_app, name="dns")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}


@app.command(context_settings=_PASS_THROUGH)
def run(context: typer.Context) -> None:
    """Run a command, usually `pulumi ...`, in the sandbox.

    With the stand-in providers, a backend of its own and a passphrase of its own.

    Pools, model bucket and zone are protected: to replace or destroy them add --ignore-protect, as for a real account.
    The exit code is the command's; 127 when there is no such command, as in a shell. Stacks are initialised on first
    use. Example: spillway sandbox run -- pulumi up --yes --stack aws-us-east-1
    """
    from rich.console import Console

    from spillway.engine import ensure_engine

    arguments = context.args[1:] if context.args[:1] == ["--"] else context.args
    if not any(arguments[:1]):
        raise WrongUsage("sandbox run: name a command after --, for example: spillway sandbox run -- pulumi stack ls")
    os.execve(*command_line(arguments, Project(sandbox_dir()), ensure_engine(Console(stderr=True))))


@app.command()
def show(
    cloud: Annotated[str | None, typer.Option(help="Only this cloud.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only types with this text in their token.")] = None,
    launches: Annotated[bool, typer.Option(help="The launches that groups would make now, and why.")] = False,
    json_: Json = False,
) -> None:
    """List what the stand-in clouds hold. Secret values are never shown."""
    from sandbox import show as view

    if cloud is not None:
        cloud = package_of(cloud)
        if cloud not in DISTRIBUTIONS:
            raise SpillwayError(f"--cloud = {shown(cloud)}: allowed are {known_clouds()}")
    found = view.holdings(sandbox_dir(), cloud, region, type_)
    rows = view.launches(sandbox_dir(), region, cloud) if launches else None
    if json_:
        typer.echo(json.dumps(rows if rows is not None else found, indent=2))
    elif rows is not None:
        view.print_launches(rows)
    else:
        view.print_holdings(found, filtered=any((cloud, region, type_)))


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Throw the stand-in clouds away, with their stacks and weather."""
    directory = sandbox_dir()
    if not directory.exists():
        typer.echo(f"{directory}: nothing there")
        return
    if not is_sandbox(directory):  # never delete what this program did not make, whatever the variable says
        raise SpillwayError(f"{VARIABLE} = {directory}: holds no sandbox; not deleted")
    if not yes:
        if not sys.stdin.isatty():
            raise SpillwayError(f"reset deletes {directory}: add --yes")
        typer.confirm(f"Delete {directory} with everything the stand-in clouds hold?", abort=True)
    left = dismantle(directory)
    typer.echo(f"{directory}: deleted" + (f", but for what is not the sandbox's: {', '.join(left)}" if left else ""))


@app.command()
def types(json_: Json = False) -> None:
    """List the types and data sources that are covered."""
    covered: dict[str, dict[str, list[str]]] = {}
    for cloud in DISTRIBUTIONS:
        kinds = registry(cloud)
        covered[cloud] = {"types": sorted(kinds.kinds), "invokes": sorted(kinds.invokes)}
    if json_:
        typer.echo(json.dumps(covered, indent=2))
        return
    for lists in covered.values():
        for token in [*lists["types"], *lists["invokes"]]:
            typer.echo(token)


@app.command()
def change(
    id: Annotated[str, typer.Argument(help="Id of the resource, as `show` lists it.")],
    settings: Annotated[list[str], typer.Argument(help="property=value, the value as JSON or plain text.")],
) -> None:
    """Change a resource behind Pulumi's back: drift."""
    from sandbox import drift

    values: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key:
            raise SpillwayError(f"{setting}: expected property=value, for example maxSize=9")
        values[key] = _value(text)
    for line in drift.change(sandbox_dir(), id, values):
        typer.echo(line)


@app.command()
def delete(id: Annotated[str, typer.Argument(help="Id of the resource, as `show` lists it.")]) -> None:
    """Delete a resource behind Pulumi's back."""
    from sandbox import drift

    typer.echo(drift.delete(sandbox_dir(), id))


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: name)  # NaN and Infinity are no JSON
    except (ValueError, RecursionError):
        return text


@weather_app.command("show")
def weather_show(json_: Json = False) -> None:
    """Print the weather."""
    from sandbox import forecast

    weather = forecast.read(sandbox_dir())
    typer.echo(weather.model_dump_json(indent=2, by_alias=True) if json_ else forecast.text(weather))


@weather_app.command("sold-out")
def weather_sold_out(
    zone: Annotated[str, typer.Option(help="Zone or pattern: us-east-1a, us-east-1*, us-central1-a, eastus-1.")] = "*",
    type_: Annotated[str, typer.Option("--type", help="Machine type or pattern, such as p4d.*.")] = "*",
    market: Annotated[str, typer.Option(help="spot, on-demand or *.")] = "*",
    region: Annotated[str, typer.Option(help="Region or pattern, such as us-east-1.")] = "*",
    cloud: Annotated[str, typer.Option(help="Cloud or pattern, such as gcp or azure.")] = "*",
) -> None:
    """Take capacity away, by region, zone, machine type and market.

    No machine that fits can be launched; without an option none at all.
    """
    from sandbox import forecast, whereabouts

    whereabouts.refuse_unknown(cloud, region=region, zone=zone)
    entry = {"cloud": cloud, "region": region, "zone": zone, "type": type_, "market": market}
    forecast.add(sandbox_dir(), "soldOut", entry)


@weather_app.command("quota")
def weather_quota(
    name: Annotated[str, typer.Argument(help="Quota code or name, such as L-417A185B.")],
    value: Annotated[float, typer.Argument(help="The new limit.")],
    region: Annotated[str, typer.Option(help="Region or pattern.")] = "*",
    cloud: Annotated[str, typer.Option(help="Cloud or pattern, such as gcp or azure.")] = "*",
) -> None:
    """Set a quota of the stand-in account."""
    from sandbox import forecast, whereabouts

    whereabouts.refuse_unknown(cloud, region=region)
    forecast.add(sandbox_dir(), "quotas", {"cloud": cloud, "region": region, "name": name, "value": value})


@weather_app.command("fault")
def weather_fault(
    kind: Annotated[str, typer.Argument(help="throttle, fail, lose-answer, slow or slow-answer.")],
    operation: Annotated[str, typer.Option(help="create, read, update, delete, invoke or *.")] = "*",
    type_: Annotated[str, typer.Option("--type", help="Type token or pattern, such as aws:autoscaling/*.")] = "*",
    name: Annotated[str, typer.Option(help="Logical name or pattern.")] = "*",
    times: Annotated[int | None, typer.Option(help="How many calls it strikes; all when left out.")] = None,
    seconds: Annotated[float, typer.Option(help="For slow and slow-answer: how long.")] = 1.0,
    message: Annotated[str | None, typer.Option(help="For fail: `Code: text` of the refusal.")] = None,
    cloud: Annotated[str, typer.Option(help="Cloud or pattern, such as gcp or azure.")] = "*",
) -> None:
    """Make the API misbehave."""
    from sandbox import forecast

    entry: dict[str, Any] = {"cloud": cloud, "kind": kind, "operation": operation, "type": type_, "name": name}
    entry["seconds"] = seconds
    if times is not None:
        entry["times"] = times
    if message is not None:
        entry["message"] = message
    forecast.add(sandbox_dir(), "faults", entry)


Cloud = Annotated[str, typer.Option(help="Cloud or pattern, such as gcp or azure.")]
Region = Annotated[str, typer.Option(help="Region or pattern, such as us-east-1.")]
Address = Annotated[str, typer.Option(help="Address or pattern; the only way to name one that no stand-in holds.")]


@weather_app.command("down")
def weather_down(
    region: Region = "*",
    address: Address = "*",
    kind: Annotated[
        str, typer.Option(help="refused, blackhole (no answer at all), error (503) or slow.")
    ] = "blackhole",
    cloud: Cloud = "*",
    all_: Annotated[bool, typer.Option("--all", help="Every address that the stand-in clouds hold.")] = False,
) -> None:
    """Take a region, a cloud or an address down.

    Health checks fail there, and the stand-in's DNS moves clients away. Says which addresses that hits now.
    """
    from sandbox import forecast, whereabouts

    named = (cloud, region, address) != ("*", "*", "*")
    if named and all_:
        raise WrongUsage("--all: not together with --region, --cloud or --address")
    whereabouts.refuse_unknown(cloud, region=region)
    if not named and not all_:
        raise WrongUsage("name what goes down with --region, --cloud or --address, or everything with --all")
    typer.echo(forecast.take_down(sandbox_dir(), cloud=cloud, region=region, address=address, kind=kind))


@weather_app.command("up")
def weather_up(region: Region = "*", address: Address = "*", cloud: Cloud = "*") -> None:
    """Undo `down`, all of it or what the options name."""
    from sandbox import forecast

    gone = forecast.lift(sandbox_dir(), cloud=cloud, region=region, address=address)
    for entry in gone:
        typer.echo(f"up again: {forecast.describe(entry)}")
    if not gone:
        typer.echo("nothing is down")


@weather_app.command("clear")
def weather_clear() -> None:
    """Fair weather again."""
    from sandbox import forecast

    forecast.clear(sandbox_dir())


@dns_app.command("serve")
def dns_serve(
    port: Annotated[int, typer.Option(help="On 127.0.0.1, UDP and TCP.")] = 5353,
    client_region: Annotated[str, typer.Option(help="The AWS region where the askers are taken to be.")] = "us-east-1",
    provider: Annotated[
        str | None, typer.Option(help="route53, cloudflare or traffic-manager, when several hold the zone.")
    ] = None,
) -> None:
    """Answer real DNS queries for the stand-in's zones.

    On loopback, with the stand-in's health checks: dig @127.0.0.1 -p 5353 llm.example.com
    """
    import functools
    import time

    from sandbox.dns.authority import PROVIDERS
    from sandbox.dns.geography import check_region
    from sandbox.dns.running import Running
    from sandbox.dns.serve import Responder, served, serving

    check_region("--client-region", client_region)
    if provider is not None and provider not in PROVIDERS:
        raise SpillwayError(f"--provider = {shown(provider)}: allowed are {', '.join(PROVIDERS)}")
    told = functools.partial(typer.echo, err=True)
    responder = Responder(Running(sandbox_dir(), provider), client_region, told)
    names = served(responder.running.authority, provider)
    try:
        with serving(responder, port) as taken:
            typer.echo(f"{names} at 127.0.0.1 port {taken}; Ctrl-C ends it")
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        return
