"""Whether and where access and audit logs leave the node. `python -m images.programs.logs check`, then `run`.

`check` is the unit's ExecCondition: exit code 1 where node.json names no destination, and the agent does not start; 255
where node.json cannot be read, which is tried again. `run` becomes Fluent Bit, with what its configuration takes from
the environment; on Azure it stays beside it (reporting/agent.py). docs/observability.md has what leaves and what does
not.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import Final

from images.node import NodeConfig
from images.programs import settings
from images.programs.journal import Journal
from images.programs.reporting import agent

AGENT: Final = ("/opt/fluent-bit/bin/fluent-bit", "--config=/etc/fluent-bit/fluent-bit.yaml")
VARIABLES: Final = {
    "aws": ("LOGS_GROUP",),
    "azure": ("LOGS_ENDPOINT", "LOGS_RULE", "LOGS_TABLE", "LOGS_IDENTITY", "LOGS_TOKENS"),
    "gcp": (),
}
"""What fluent-bit.yaml of each cloud takes from the environment, beside what every one does."""


class NoDestination(Exception):
    """One line: why logs stay here."""


def group(stack: str) -> str:
    """The CloudWatch log group of a region stack, which the stack makes: the agent must not, retention costs money."""
    return f"/spillway/{stack}/nodes"


def environment(config: NodeConfig, instance: str) -> dict[str, str]:
    """Variables of the agent. Raises NoDestination."""
    if config.logs is None:
        raise NoDestination("node.json names no logs; they stay in the journal")
    found = {
        "LOGS_CLOUD": config.cloud,
        "LOGS_REGION": config.region,
        "LOGS_STACK": config.stack,
        "LOGS_POOL": config.pool,
        "LOGS_NODE": instance,
    }
    if config.cloud == "aws":
        return found | {"LOGS_GROUP": group(config.stack)}
    if config.cloud == "gcp":
        return found
    if config.cloud == "azure":
        logs = config.logs
        if not (logs.endpoint and logs.rule and logs.table):
            raise NoDestination("node.json: logs needs endpoint, rule and table on Azure")
        return found | {
            "LOGS_ENDPOINT": logs.endpoint,
            "LOGS_RULE": logs.rule,
            "LOGS_TABLE": logs.table,
            "LOGS_IDENTITY": logs.identity,
        }
    raise NoDestination(f"no log service is known on {config.cloud}; logs stay in the journal")


def main() -> int:
    parser = argparse.ArgumentParser(prog="logs", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("check", "run"))
    what = parser.parse_args().what
    journal = Journal("logs")
    try:
        config = settings.load()
        found = environment(config, settings.identity())
    except settings.ConfigFault as error:
        journal.tell("does not run", "error", detail=str(error))
        return 255
    except NoDestination as error:
        journal.tell("stay here", detail=str(error))
        return 1
    if what == "check":
        return 0
    journal.tell(
        "leave", detail=f"{found['LOGS_CLOUD']}: {found.get('LOGS_GROUP') or found.get('LOGS_TABLE') or 'log'}"
    )
    command = tuple((os.environ.get("SPILLWAY_LOGS_AGENT") or " ".join(AGENT)).split())
    if config.cloud == "azure":
        return asyncio.run(agent.run(command, found, found["LOGS_IDENTITY"], journal))
    try:
        os.execve(command[0], command, {**os.environ, **found})
    except OSError as error:
        journal.tell("does not run", "error", detail=f"{command[0]}: {error.strerror}")
        return 255


if __name__ == "__main__":
    sys.exit(main())
