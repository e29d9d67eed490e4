"""What a node tells its cloud when it leaves or has come up: lifecycle actions and health (AWS), events (Azure)."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from images.node import NodeConfig
from images.programs import settings
from images.programs.leaving import sdk
from images.programs.leaving.notices import (
    AZURE_API,
    AZURE_EVENTS,
    azure_events,
    azure_name,
    azure_notice,
    names,
)
from images.programs.leaving.service import Service, Unavailable

CALL_SECONDS: Final = 5
INSTANCE: Final = re.compile(r"i-[0-9a-f]{8,32}")


class Untold(Exception):
    """The cloud could not be told; the message is one line."""


class NoAction(Exception):
    """There is no such lifecycle action for this instance, or no more: nobody waits to be told."""


class AutoScaling:
    """The node's own instance in its auto scaling group. Calls run in threads; each is bounded.

    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CompleteLifecycleAction.html
    """

    def __init__(self, config: NodeConfig, service: Service) -> None:
        self._config, self._service = config, service
        self._instance = ""
        self._made: Any = None
        self._lock = threading.Lock()

    async def instance(self) -> str:
        """The instance's id, from the metadata service or, when that is down, from cloud-init. Raises Untold."""
        if not self._instance:
            try:
                found = await self._service.text("/latest/meta-data/instance-id") or ""
            except Unavailable:
                found = settings.identity()
            if not INSTANCE.fullmatch(found):
                raise Untold("the instance's id is not known")
            self._instance = found
        return self._instance

    async def prepare(self) -> None:
        """Loads the SDK, which takes a second that is missing later. Never raises."""
        try:
            await asyncio.to_thread(self._client)
            await self.instance()
        except Exception:  # whatever it is, the call that needs it says so
            return

    async def complete(self, hook: str, result: Literal["CONTINUE", "ABANDON"]) -> None:
        """Raises NoAction, Untold."""
        instance = await self.instance()
        group = self._config.group
        await self._call(
            lambda client: client.complete_lifecycle_action(
                LifecycleHookName=hook, AutoScalingGroupName=group, InstanceId=instance, LifecycleActionResult=result
            )
        )

    async def heartbeat(self, hook: str) -> None:
        """The hook's time begins anew. Raises NoAction, Untold."""
        instance = await self.instance()
        group = self._config.group
        await self._call(
            lambda client: client.record_lifecycle_action_heartbeat(
                LifecycleHookName=hook, AutoScalingGroupName=group, InstanceId=instance
            )
        )

    async def unhealthy(self) -> None:
        """The group replaces the instance, also within the grace period that begins when it comes into service.

        Raises Untold.
        """
        instance = await self.instance()
        await self._call(
            lambda client: client.set_instance_health(
                InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False
            )
        )

    async def _call(self, work: Callable[[Any], Any]) -> None:
        def run() -> None:
            from botocore.exceptions import BotoCoreError, ClientError

            try:
                work(self._client())
            except ClientError as error:
                found = error.response.get("Error", {})
                code, message = str(found.get("Code", "")), " ".join(str(found.get("Message", "")).split())
                # https://docs.aws.amazon.com/autoscaling/ec2/userguide/completing-lifecycle-hooks.html
                if code == "ValidationError" and "No active Lifecycle Action found" in message:
                    raise NoAction(message) from None
                raise Untold(f"{code}: {message}") from None
            except (BotoCoreError, sdk.NoCredentials) as error:
                raise Untold(" ".join(str(error).split())) from None

        try:
            async with asyncio.timeout(3.0 * CALL_SECONDS):
                await asyncio.to_thread(run)
        except TimeoutError:
            raise Untold("the autoscaling API does not answer") from None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = sdk.client("autoscaling", self._config.region, attempts=2)
            return self._made


async def approve(service: Service) -> Sequence[str]:
    """Azure: the events that end this machine may begin now; their ids. Raises Untold.

    An event that names other machines too is left alone, as it would begin for all of them.
    https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events (start an event)
    """
    try:
        answer, events = await azure_events(service)
        if not events:
            return ()
        vm = await azure_name(service)
        mine = [event for event in events if names(event, vm) and azure_notice(event, answer) is not None]
        wanted = [
            str(event["EventId"])
            for event in mine
            if event.get("EventStatus") == "Scheduled" and len(event["Resources"]) == 1
        ]
        if wanted:
            await service.post(AZURE_EVENTS, {"StartRequests": [{"EventId": one} for one in wanted]}, AZURE_API)
        return wanted
    except Unavailable as error:
        raise Untold(f"the metadata service {error}") from None
