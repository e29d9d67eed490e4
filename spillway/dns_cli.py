"""`spillway dns`: how fast failover is, who answers now, and taking a region out of the answers."""

from __future__ import annotations

import typer

from spillway.dns_budget import budget
from spillway.dns_checkers import checkers
from spillway.dns_drain import drain
from spillway.dns_watch import watch

app = typer.Typer(no_args_is_help=True, help="Global DNS: how fast failover is, who answers now, draining a region.")
app.command()(budget)
app.command()(watch)
app.command()(drain)
app.command()(checkers)
