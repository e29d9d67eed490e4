"""The log agent as a child, with somebody on loopback who turns the node's managed identity into its OAuth2 tokens.

Fluent Bit's output for Azure Monitor knows client secrets only (managed identity is proposed in
https://github.com/fluent/fluent-bit/pull/10867 and in no release), and a node has none. Its `auth_url` takes a token
endpoint on loopback over plain HTTP (5.1.1, plugins/out_azure_logs_ingestion/azure_logs_ingestion_conf.c). What is
told there is what every process of the node can ask the metadata service for.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web

from images.programs.journal import Journal
from images.programs.leaving.service import Service, Unavailable

TOKEN: Final = "/metadata/identity/oauth2/token"
"""https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token"""
RESOURCE: Final = "https://monitor.azure.com"
"""Audience of the Logs Ingestion API. https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview"""
CALL_SECONDS: Final = 10.0


class Tokens:
    """An OAuth2 token endpoint. identity: client id of a user-assigned identity, or `system`."""

    def __init__(self, service: Service, identity: str, journal: Journal) -> None:
        self.service, self.journal = service, journal
        self._query = {"api-version": "2018-02-01", "resource": RESOURCE}
        if identity != "system":
            self._query["client_id"] = identity
        self._fault = ""

    async def answer(self, _: web.Request) -> web.Response:
        """The token as RFC 6749, 5.1 has it; 503 while there is none. Told once for each reason."""
        try:
            answer = await self.service.get(TOKEN, self._query, CALL_SECONDS)
            if answer.status != 200:
                raise Unavailable(f"answers {answer.status}")
            found = answer.json()
            body = {
                "access_token": str(found["access_token"]),
                "token_type": "Bearer",
                "expires_in": int(found["expires_in"]),
            }
        except Unavailable as error:
            return self._none(f"the metadata service {error}")
        except (KeyError, TypeError, ValueError, OverflowError):
            return self._none("the metadata service answers with something else")
        self._fault = ""
        return web.json_response(body, headers={"Cache-Control": "no-store"})

    def _none(self, fault: str) -> web.Response:
        if fault != self._fault:
            self.journal.tell("no token", "warning", detail=fault)
            self._fault = fault
        return web.json_response({"error": "temporarily_unavailable"}, status=503)


async def run(command: Sequence[str], variables: Mapping[str, str], identity: str, journal: Journal) -> int:
    """Runs the agent until it ends, with LOGS_TOKENS in its environment. Returns its exit code, 128 + n for signal n.

    SIGTERM and SIGINT are passed on; the agent sends what it has within its own grace.
    """
    service = Service("azure")
    application = web.Application()
    application.router.add_post("/token", Tokens(service, identity, journal).answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **variables, "LOGS_TOKENS": f"http://127.0.0.1:{port}/token"}
        )
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, _pass_on, process, one)
        code = await process.wait()
    finally:
        await runner.cleanup()
        await service.close()
    return code if code >= 0 else 128 - code


def _pass_on(process: asyncio.subprocess.Process, one: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(one)
