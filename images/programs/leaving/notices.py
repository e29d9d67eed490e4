"""What each cloud's metadata service says of the node's end, as notices that look the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from images.node import NodeConfig
from images.programs.leaving.mark import Cause
from images.programs.leaving.service import Answer, Service, Unavailable

BEIJING: Final = timezone(timedelta(hours=8))
AZURE_EVENTS: Final = "/metadata/scheduledevents"
AZURE_API: Final = {"api-version": "2020-07-01"}
"""The newest of https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events (version and region
availability)."""
AZURE_NAME: Final = "/metadata/instance/compute/name"
AZURE_NAME_API: Final = {"api-version": "2021-02-01", "format": "text"}
AZURE_FIRST: Final = 130.0
"""The first question switches scheduled events on for the machine, which may take two minutes (same page)."""
AZURE_CAUSES: Final[dict[str, Cause]] = {
    "Preempt": "spot",
    "Terminate": "terminate",
    "Reboot": "terminate",
    "Redeploy": "terminate",
}
"""Freeze is left out: the machine pauses for seconds, and its memory stays."""
GCP_PREEMPTED: Final = "/computeMetadata/v1/instance/preempted"
GCP_MAINTENANCE: Final = "/computeMetadata/v1/instance/maintenance-event"
GCP_WAIT: Final = 60.0
GCP_MAINTENANCE_SECONDS: Final = 3600.0
"""Machines with GPUs hear of their host's maintenance an hour before they are stopped for it.
https://docs.cloud.google.com/compute/docs/gpus/gpu-host-maintenance"""


@dataclass(frozen=True)
class Notice:
    """The node's end, told by its cloud.

    key: the same for the same notice. seconds: until the end, from now on; None: the cloud does not say, so it is what
    the stack file says. keep: with more than so many seconds left there is no need to leave yet.
    """

    cause: Cause
    key: str
    what: str
    seconds: float | None
    keep: float | None = None


class Source(Protocol):
    """A place where notices appear. every: seconds between two looks.

    A source may have `change()` as well: a look that answers late, and runs beside the others.
    """

    name: str
    every: float

    async def look(self) -> Sequence[Notice]:
        """The notices that stand. Raises Unavailable."""
        ...


class AwsInterruption:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html"""

    name = "spot/instance-action"
    every = 2.0  # AWS recommends 5 s; the two minutes are worth more than two requests to the link

    def __init__(self, service: Service) -> None:
        self._service = service

    async def look(self) -> Sequence[Notice]:
        answer = await self._service.get("/latest/meta-data/spot/instance-action")
        if answer.status == 404:
            return ()
        found = answer.json()
        if not isinstance(found, dict) or not isinstance(found.get("action"), str):
            raise Unavailable(f"{self.name}: neither action nor time in it")
        action = found["action"]
        seconds = _left(_utc(found.get("time")), answer)
        if action == "hibernate":
            seconds = 0.0  # begins at once, without the two minutes
        return (Notice("spot", f"aws:{action}", f"EC2 will {action} this instance", seconds),)


class AwsRebalance:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html"""

    name = "events/recommendations/rebalance"
    every = 5.0

    def __init__(self, service: Service) -> None:
        self._service = service

    async def look(self) -> Sequence[Notice]:
        answer = await self._service.get("/latest/meta-data/events/recommendations/rebalance")
        if answer.status == 404:
            return ()
        found = answer.json()
        if not isinstance(found, dict) or "noticeTime" not in found:
            raise Unavailable(f"{self.name}: no noticeTime in it")
        return (Notice("rebalance", "aws:rebalance", "EC2 recommends to move away from this instance", None),)


class AzureEvents:
    """https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events"""

    name = "scheduledevents"
    every = 1.0

    def __init__(self, service: Service) -> None:
        self._service = service
        self._vm: str | None = None
        self._answered = False

    async def look(self) -> Sequence[Notice]:
        return await self._look(2.0)

    async def change(self) -> Sequence[Notice]:
        """The patient question that switches the events on, beside the short ones; nothing once they are."""
        if self._answered:
            await asyncio.sleep(AZURE_FIRST)
            return ()
        return await self._look(AZURE_FIRST)

    async def _look(self, timeout: float) -> Sequence[Notice]:
        answer, events = await azure_events(self._service, timeout)
        self._answered = True
        if not events:
            return ()
        if self._vm is None:
            self._vm = await azure_name(self._service)
        return [
            notice for event in events if names(event, self._vm) and (notice := azure_notice(event, answer)) is not None
        ]


class GcpPreempted:
    """https://docs.cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption

    One question waits for the change, another asks every second: either may be lost with its connection.
    """

    name = "instance/preempted"
    every = 1.0

    def __init__(self, service: Service, path: str = GCP_PREEMPTED) -> None:
        self._service, self._path = service, path
        self._etag = ""

    async def look(self) -> Sequence[Notice]:
        answer = await self._service.get(self._path)
        return self._read(answer)

    async def change(self) -> Sequence[Notice]:
        """The same, but only when the value has changed, or after a minute."""
        query = {"wait_for_change": "true", "timeout_sec": f"{GCP_WAIT:.0f}"}
        if self._etag:
            query["last_etag"] = self._etag
        answer = await self._service.get(self._path, query, GCP_WAIT + 10)
        self._etag = answer.etag
        return self._read(answer)

    def _read(self, answer: Answer) -> Sequence[Notice]:
        value = answer.text.upper()
        if answer.status == 404 or value == "FALSE":
            return ()
        if value != "TRUE":
            raise Unavailable(f"{self.name}: {answer.text[:60]!r} is neither TRUE nor FALSE")
        # The time is not told: it is the notice that the template asked for, or the 30 s of the shutdown.
        return (Notice("spot", "gcp:preempted", "Compute Engine preempts this instance", None),)


class GcpMaintenance:
    """https://docs.cloud.google.com/compute/docs/metadata/getting-live-migration-notice"""

    name = "instance/maintenance-event"
    every = 5.0

    def __init__(self, service: Service, keep: float) -> None:
        self._service, self._keep = service, keep

    async def look(self) -> Sequence[Notice]:
        answer = await self._service.get(GCP_MAINTENANCE)
        value = answer.text.upper()
        if answer.status == 404 or value in ("NONE", "MIGRATE_ON_HOST_MAINTENANCE"):
            return ()
        if value != "TERMINATE_ON_HOST_MAINTENANCE":
            raise Unavailable(f"{self.name}: {answer.text[:60]!r} is no maintenance event")
        what = "Compute Engine stops this instance for its host's maintenance"
        return (Notice("terminate", "gcp:maintenance", what, GCP_MAINTENANCE_SECONDS, self._keep),)


class TencentReclaim:
    """https://www.tencentcloud.com/document/product/213/32487"""

    name = "spot/termination-time"
    every = 2.0

    def __init__(self, service: Service) -> None:
        self._service = service

    async def look(self) -> Sequence[Notice]:
        answer = await self._service.get("/latest/meta-data/spot/termination-time")
        if answer.status == 404 or not answer.text:
            return ()
        try:
            end = datetime.strptime(answer.text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).timestamp()
        except ValueError:
            raise Unavailable(f"{self.name}: {answer.text[:60]!r} is no time") from None
        return (Notice("spot", "tencent:reclaim", "the instance is reclaimed", _left(end, answer)),)


def sources(config: NodeConfig, service: Service) -> Sequence[Source]:
    """Where the notices of the node's cloud are."""
    match config.cloud:
        case "aws":
            return (AwsInterruption(service), AwsRebalance(service))
        case "azure":
            return (AzureEvents(service),)
        case "gcp":
            drain = config.drain
            keep = 60.0 + max(drain.notice_seconds, drain.deregister_seconds + drain.drain_seconds)
            return (GcpPreempted(service), GcpMaintenance(service, keep))
        case "tencent":
            return (TencentReclaim(service),)


# --- Azure's document -------------------------------------------------------------------------------------------------


async def azure_events(service: Service, timeout: float = 2.0) -> tuple[Answer, list[dict[str, Any]]]:
    """The events of the document, of this machine or others. Raises Unavailable."""
    answer = await service.get(AZURE_EVENTS, AZURE_API, timeout)
    found = answer.json() if answer.status == 200 else None
    events = found.get("Events") if isinstance(found, dict) else None
    if not isinstance(events, list):
        raise Unavailable("scheduledevents: no Events in it")
    return answer, [event for event in events if isinstance(event, dict) and isinstance(event.get("EventId"), str)]


async def azure_name(service: Service) -> str:
    """The machine's name, as events call it: `<scale set>_<number>`. Raises Unavailable."""
    found = await service.text(AZURE_NAME, AZURE_NAME_API)
    if not found:
        raise Unavailable("compute/name: there is none")
    return found


def names(event: dict[str, Any], vm: str) -> bool:
    """Whether an event is this machine's: the document has those of its whole placement group."""
    resources = event.get("Resources")
    return isinstance(resources, list) and any(isinstance(one, str) and one.lower() == vm.lower() for one in resources)


def azure_notice(event: dict[str, Any], answer: Answer) -> Notice | None:
    """What an event is to the node; None where it need not leave."""
    kind = str(event.get("EventType"))
    cause = AZURE_CAUSES.get(kind)
    if cause is None or event.get("EventStatus") in ("Completed", "Canceled"):
        return None
    begins: float | None = None
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        begins = parsedate_to_datetime(str(event.get("NotBefore"))).timestamp()
    seconds = _left(begins, answer)
    if event.get("EventStatus") == "Started":
        seconds = 0.0
    return Notice(cause, f"azure:{event['EventId']}", f"Azure has scheduled: {kind}", seconds)


# --- Times ------------------------------------------------------------------------------------------------------------


def _utc(text: Any) -> float | None:
    """Unix seconds of an RFC 3339 time; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _left(end: float | None, answer: Answer) -> float | None:
    """By the clock of the one who set the end."""
    return None if end is None else end - answer.now
