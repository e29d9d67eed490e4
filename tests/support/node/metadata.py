"""The metadata services of four clouds on loopback, with their rules, their notices and faults at will.

As a process: `python -m tests.support.node.metadata --cloud aws --port 0 [--user-data FILE]`; it prints `listening on
http://127.0.0.1:PORT`. In a test: `async with Metadata("aws") as service`, then `service.notice(120)`. A process hears
of it over HTTP: `POST /stand-in/notice {"seconds": 120}`, `/stand-in/rebalance`, `/stand-in/terminate`,
`/stand-in/maintenance`, `/stand-in/clear`, `/stand-in/values {"instance-id": "i-1"}` (AWS' and Tencent's tree),
`/stand-in/fault {"kind": "slow", "seconds": 2, "path": "spot", "times": 3}` (kind "none": well again);
`GET /stand-in/state` tells what was asked, and what Azure's events were approved.

Rules that are kept:
- AWS: a token by PUT with a lifetime of 1 to 21600 s, none for requests that came through a proxy; 401 without one or
  after its end; 404 until there is a notice
  (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html);
- Azure: `Metadata: true` and a known api-version, or 400; events are a document with an incarnation, POST with
  StartRequests starts them (https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events);
- Google: `Metadata-Flavor: Google`, or 403; wait_for_change answers when the value is another than that of last_etag
  (https://docs.cloud.google.com/compute/docs/metadata/querying-metadata);
- Tencent: the time of a reclaim in UTC+8, 404 before
  (https://www.tencentcloud.com/document/product/213/32487).
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Literal, Self

from aiohttp import web

Cloud = Literal["aws", "azure", "gcp", "tencent"]
FaultKind = Literal["none", "down", "slow", "hang", "garbage", "redirect", "error", "tokens-end", "empty"]
AZURE_VERSIONS = ("2017-11-01", "2018-02-01", "2019-08-01", "2020-07-01", "2021-02-01", "2021-12-13")
BEIJING = timezone(timedelta(hours=8))
TOKEN = "token-of-the-node"
GARBAGE = b"<html>\x00\xff{]not what was asked for"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """What happens to requests whose path has `path` in it, `times` times (-1: always).

    down: the connection breaks. hang: no answer. slow: an answer after `seconds`. tokens-end: AWS takes no token from
    before any more; that happens once.
    """

    kind: FaultKind = "none"
    path: str = ""
    seconds: float = 5.0
    times: int = -1


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    status: int = 0
    at: float = field(default_factory=time.time)


class Metadata:
    """The metadata service of one node.

    skew: seconds by which the cloud's clock, which stamps notices and answers, is ahead of this machine's.
    """

    def __init__(self, cloud: Cloud, *, skew: float = 0.0, user_data: bytes = b"") -> None:
        self.cloud: Cloud = cloud
        self.skew = skew
        self.user_data = user_data
        self.fault = Fault()
        self.asked: list[Asked] = []
        self.port = 0
        self.ttl: float | None = None
        """AWS: tokens live so many seconds, whatever was asked for."""
        self.tokens: dict[str, float] = {}
        self.tree: dict[str, str] = dict(_tree(cloud))
        self.events: list[dict[str, Any]] = []
        self.approved: list[str] = []
        self.incarnation = 1
        self.vm = "spillway-azure-eastus-spot_3"
        self.google = {
            "instance/preempted": "FALSE",
            "instance/maintenance-event": "NONE",
            "instance/id": "1234567890123456789",
            "instance/name": "spillway-gcp-us-central1-spot-x1y2",
            "instance/zone": "projects/123456789012/zones/us-central1-a",
            "instance/hostname": "spillway-spot-x1y2.c.project.internal",
            "instance/attributes/user-data": user_data.decode("utf-8", "replace"),
            "project/project-id": "project",
            "project/numeric-project-id": "123456789012",
        }
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self, path: str) -> list[Asked]:
        """For paths with this in them."""
        return [one for one in self.asked if path in one.path]

    # -- what the cloud does to the node

    def now(self) -> float:
        """The cloud's clock, unix seconds."""
        return time.time() + self.skew

    def notice(self, seconds: float = 120.0, **more: Any) -> None:
        """The node is reclaimed in so many seconds. more: fields of the document (AWS, Azure)."""
        end = datetime.fromtimestamp(self.now() + seconds, UTC)
        if self.cloud == "aws":
            body = {"action": "terminate", "time": f"{end:%Y-%m-%dT%H:%M:%SZ}", **more}
            self.tree["spot/instance-action"] = json.dumps(body)
            self.tree["spot/termination-time"] = body["time"]
        elif self.cloud == "azure":
            self.event("Preempt", seconds, **more)
        elif self.cloud == "gcp":
            self._google("instance/preempted", "TRUE")
        else:
            self.tree["spot/termination-time"] = f"{end.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"

    def event(self, kind: str, seconds: float, **more: Any) -> str:
        """Azure: an event that begins in so many seconds; its id."""
        begins = datetime.fromtimestamp(self.now() + seconds, UTC)
        made = {
            "EventId": str(uuid.uuid4()).upper(),
            "EventStatus": "Scheduled",
            "EventType": kind,
            "ResourceType": "VirtualMachine",
            "Resources": [self.vm],
            "NotBefore": format_datetime(begins, usegmt=True),
            "Description": "",
            "EventSource": "Platform",
            "DurationInSeconds": -1,
            **more,
        }
        self.events.append(made)
        self.incarnation += 1
        return str(made["EventId"])

    def rebalance(self) -> None:
        """AWS: an interruption has become likely."""
        stamp = datetime.fromtimestamp(self.now(), UTC)
        self.tree["events/recommendations/rebalance"] = json.dumps({"noticeTime": f"{stamp:%Y-%m-%dT%H:%M:%SZ}"})

    def terminate(self) -> None:
        """The group gives the node up."""
        if self.cloud == "azure":
            self.event("Terminate", 300)
        else:
            self.tree["autoscaling/target-lifecycle-state"] = "Terminated"

    def maintenance(self, kind: str = "TERMINATE_ON_HOST_MAINTENANCE") -> None:
        """Google: the host is about to be looked after."""
        self._google("instance/maintenance-event", kind)

    def clear(self) -> None:
        """No notice stands any more."""
        for path in ("spot/instance-action", "spot/termination-time", "events/recommendations/rebalance"):
            self.tree.pop(path, None)
        if self.cloud == "aws":
            self.tree["autoscaling/target-lifecycle-state"] = "InService"
        if self.events:
            self.events, self.incarnation = [], self.incarnation + 1
        self._google("instance/preempted", "FALSE")
        self._google("instance/maintenance-event", "NONE")

    def _google(self, path: str, value: str) -> None:
        self.google[path] = value
        self._changed.set()
        self._changed = asyncio.Event()

    # -- the service

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> Self:
        app = web.Application(middlewares=[self._watched], client_max_size=2**20)
        app.router.add_post("/stand-in/{what}", self._told)
        app.router.add_get("/stand-in/state", self._state)
        app.router.add_route("*", "/{path:.*}", getattr(self, f"_{self.cloud}"))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, reuse_address=True).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return self if self._runner else await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @web.middleware
    async def _watched(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/stand-in/"):
            return await handler(request)
        asked = Asked(request.method, request.path_qs)
        self.asked.append(asked)
        answer = await self._faulty(request)
        if answer is None:
            answer = await handler(request)
        asked.status = answer.status
        answer.headers["Date"] = format_datetime(datetime.fromtimestamp(self.now(), UTC), usegmt=True)
        return answer

    async def _faulty(self, request: web.Request) -> web.StreamResponse | None:
        fault = self.fault
        if fault.kind == "none" or fault.times == 0 or fault.path not in request.path_qs:
            return None
        fault.times -= 1
        match fault.kind:
            case "down":
                if request.transport:
                    request.transport.abort()
                return web.Response(status=500)
            case "hang":
                await asyncio.sleep(3600)
            case "slow":
                await asyncio.sleep(fault.seconds)
            case "garbage":
                return web.Response(body=GARBAGE, content_type="text/html")
            case "empty":
                return web.Response(body=b"")
            case "redirect":
                return web.Response(status=302, headers={"Location": "http://192.0.2.1/login"})
            case "error":
                return web.Response(status=500, text="Internal Server Error")
            case "tokens-end":
                self.tokens.clear()
                self.fault = Fault()
        return None

    # -- AWS and Tencent: a tree of values

    async def _aws(self, request: web.Request) -> web.StreamResponse:
        version, _, path = request.path.removeprefix("/").partition("/")
        if path == "api/token":
            return self._new_token(request)
        if request.method != "GET":
            return web.Response(status=405)
        token = request.headers.get("X-aws-ec2-metadata-token", "")
        if self.tokens.get(token, 0.0) < time.monotonic():
            return web.Response(status=401)
        if not version:
            return web.Response(text="2021-03-23\nlatest")
        return self._leaf(path, "meta-data")

    def _new_token(self, request: web.Request) -> web.Response:
        if request.method != "PUT":
            return web.Response(status=405)
        if "X-Forwarded-For" in request.headers:
            return web.Response(status=403)
        asked = request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if not asked.isdecimal() or not 1 <= int(asked) <= 21600:
            return web.Response(status=400)
        token = f"{uuid.uuid4().hex}=="
        self.tokens[token] = time.monotonic() + (int(asked) if self.ttl is None else self.ttl)
        return web.Response(text=token, headers={"X-aws-ec2-metadata-token-ttl-seconds": asked})

    async def _tencent(self, request: web.Request) -> web.StreamResponse:
        _, _, path = request.path.removeprefix("/").partition("/")
        return self._leaf(path, "meta-data")

    def _leaf(self, path: str, root: str) -> web.Response:
        """A value, or the names below a folder, folders with a slash at their end."""
        if path == "user-data":
            return web.Response(body=self.user_data) if self.user_data else web.Response(status=404)
        if path == "dynamic/instance-identity/document":
            return web.Response(text=json.dumps(self._identity_document()))
        if path.rstrip("/") == "dynamic/instance-identity":  # cloud-init reads folders before their leaves
            return web.Response(text="document")
        if path != root and not path.startswith(f"{root}/"):
            return web.Response(status=404)
        path = path.removeprefix(root).strip("/")
        if path in self.tree:
            return web.Response(text=self.tree[path])
        prefix = f"{path}/" if path else ""
        below = sorted({name.removeprefix(prefix) for name in self.tree if name.startswith(prefix)})
        names = {name.partition("/")[0] + ("/" if "/" in name else "") for name in below}
        return web.Response(text="\n".join(sorted(names))) if names else web.Response(status=404)

    def _identity_document(self) -> dict[str, Any]:
        return {
            "accountId": "123456789012",
            "architecture": "x86_64",
            "availabilityZone": self.tree.get("placement/availability-zone"),
            "imageId": self.tree.get("ami-id"),
            "instanceId": self.tree.get("instance-id"),
            "instanceType": self.tree.get("instance-type"),
            "privateIp": self.tree.get("local-ipv4"),
            "region": self.tree.get("placement/region"),
            "version": "2017-09-30",
        }

    # -- Azure

    async def _azure(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Metadata", "").lower() != "true":
            return _refused(400, "Bad request: Required metadata header not specified")
        if "X-Forwarded-For" in request.headers:
            return _refused(400, "Bad request: forwarded")
        if request.query.get("api-version") not in AZURE_VERSIONS:
            return _refused(400, "Bad request: api-version is invalid or was not specified in the request")
        path = request.path.removeprefix("/metadata").strip("/")
        if path == "scheduledevents":
            if request.method == "POST":
                return await self._approve(request)
            return web.json_response({"DocumentIncarnation": self.incarnation, "Events": self.events})
        if path == "identity/oauth2/token":
            return web.json_response(
                {
                    "access_token": TOKEN,
                    "client_id": "00000000-0000-0000-0000-000000000001",
                    "expires_in": "86399",
                    "expires_on": str(int(time.time()) + 86399),
                    "resource": request.query.get("resource", ""),
                    "token_type": "Bearer",
                }
            )
        if path == "instance" or path.startswith("instance/"):
            return self._instance(path, request.query.get("format", "json"))
        return _refused(404, "Not found")

    def _instance(self, path: str, form: str) -> web.Response:
        found: Any = {
            "compute": {
                "azEnvironment": "AzurePublicCloud",
                "location": "eastus",
                "name": self.vm,
                "resourceGroupName": "spillway-azure-eastus",
                "resourceId": (
                    "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/spillway-azure-eastus/providers/"
                    "Microsoft.Compute/virtualMachineScaleSets/spillway-azure-eastus-spot/virtualMachines/3"
                ),
                "subscriptionId": "00000000-0000-0000-0000-00000000000a",
                "vmId": "5c08b38e-4d57-4c23-ac45-aca61037f084",
                "vmScaleSetName": "spillway-azure-eastus-spot",
                "vmSize": "Standard_ND96amsr_A100_v4",
                "zone": "1",
            },
            "network": {"interface": []},
        }
        for part in path.split("/")[1:]:
            if not isinstance(found, dict) or part not in found:
                return _refused(404, "Not found")
            found = found[part]
        if isinstance(found, dict):
            return web.json_response(found) if form == "json" else _refused(400, "Bad request: format")
        return web.Response(text=str(found)) if form == "text" else web.json_response(found)

    async def _approve(self, request: web.Request) -> web.Response:
        try:
            wanted = [str(one["EventId"]) for one in (await request.json())["StartRequests"]]
        except (ValueError, KeyError, TypeError):
            return _refused(400, "Bad request: StartRequests")
        known = {event["EventId"] for event in self.events}
        if not wanted or set(wanted) - known:
            return _refused(400, "Bad request: EventId")
        for event in self.events:
            if event["EventId"] in wanted:
                event["EventStatus"], event["NotBefore"] = "Started", ""
        self.approved += wanted
        self.incarnation += 1
        return web.json_response({})

    # -- Google

    async def _gcp(self, request: web.Request) -> web.StreamResponse:
        flavor = {"Metadata-Flavor": "Google"}
        if request.path == "/":
            return web.Response(text="computeMetadata/", headers=flavor)
        if request.headers.get("Metadata-Flavor") != "Google" or "X-Forwarded-For" in request.headers:
            return web.Response(status=403, headers=flavor)
        path = request.path.removeprefix("/computeMetadata/v1").strip("/")
        if path.startswith("instance/service-accounts/default/token"):
            body = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
            return web.json_response(body, headers=flavor)
        if path == "instance/service-accounts/default":  # google-auth asks who it is before it asks for a token
            account = {"aliases": ["default"], "email": "node@project.iam.gserviceaccount.com", "scopes": []}
            return web.json_response(account, headers=flavor)
        if path == "instance/service-accounts/default/email":
            return web.Response(text="node@project.iam.gserviceaccount.com", headers=flavor)
        if request.query.get("wait_for_change") == "true":
            await self._until_changed(path, request)
        if path in self.google:
            headers = flavor | {"ETag": self._etag(path)}
            return web.Response(text=self.google[path], headers=headers)
        names = sorted(name.removeprefix(f"{path}/") for name in self.google if name.startswith(f"{path}/"))
        return web.Response(text="\n".join(names), headers=flavor) if names else web.Response(status=404)

    def _etag(self, path: str) -> str:
        return hashlib.sha256(f"{path}={self.google.get(path)}".encode()).hexdigest()[:16]

    async def _until_changed(self, path: str, request: web.Request) -> None:
        """Without last_etag a change is one from now on."""
        known = request.query.get("last_etag") or self._etag(path)
        end = time.monotonic() + float(request.query.get("timeout_sec") or 3600)
        while self._etag(path) == known and time.monotonic() < end:
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait([changed], timeout=max(0.0, end - time.monotonic()))
            changed.cancel()

    # -- for the test

    async def _told(self, request: web.Request) -> web.Response:
        what = request.match_info["what"]
        body = await request.json() if request.can_read_body else {}
        if what == "fault":
            self.fault = Fault(**body)
        elif what == "values":
            self.tree |= body
        elif what == "event":
            return web.json_response({"EventId": self.event(**body)})
        elif what in ("notice", "rebalance", "terminate", "maintenance", "clear"):
            getattr(self, what)(**body)
        else:
            return web.Response(status=404)
        return web.Response(status=204)

    async def _state(self, _: web.Request) -> web.Response:
        asked = [{"method": one.method, "path": one.path, "status": one.status, "at": one.at} for one in self.asked]
        return web.json_response({"asked": asked, "approved": self.approved, "events": self.events})


def _refused(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _tree(cloud: Cloud) -> dict[str, str]:
    """Values of AWS and Tencent, by path below meta-data/."""
    if cloud == "tencent":
        return {
            "instance-id": "ins-0123abcd",
            "instance-name": "spillway-tencent-ap-guangzhou-on-demand",
            "local-ipv4": "10.0.0.7",
            "mac": "52:54:00:00:00:01",
            "placement/region": "ap-guangzhou",
            "placement/zone": "ap-guangzhou-3",
            "cam/security-credentials/node": json.dumps(
                {
                    "Code": "Success",
                    "TmpSecretId": "AKIDEXAMPLE",
                    "TmpSecretKey": "secret-of-the-node",
                    "Token": "session-of-the-node",
                    "ExpiredTime": int(time.time()) + 3600 * 6,
                }
            ),
        }
    expires = datetime.now(UTC) + timedelta(hours=6)
    if cloud == "aws":
        return {
            "ami-id": "ami-0123456789abcdef0",
            "autoscaling/target-lifecycle-state": "InService",
            "hostname": "ip-10-0-0-7.ec2.internal",
            "iam/security-credentials/spillway-node": json.dumps(
                {
                    "Code": "Success",
                    "Type": "AWS-HMAC",
                    "AccessKeyId": "ASIAEXAMPLE",
                    "SecretAccessKey": "secret-of-the-node",
                    "Token": "session-of-the-node",
                    "Expiration": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
                    "LastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                }
            ),
            "instance-id": "i-0123456789abcdef0",
            "instance-life-cycle": "spot",
            "instance-type": "p5.48xlarge",
            "local-hostname": "ip-10-0-0-7.ec2.internal",
            "local-ipv4": "10.0.0.7",
            "mac": "0e:00:00:00:00:01",
            **{
                f"network/interfaces/macs/0e:00:00:00:00:01/{name}": value
                for name, value in (
                    ("device-number", "0"),
                    ("local-ipv4s", "10.0.0.7"),
                    ("mac", "0e:00:00:00:00:01"),
                    ("subnet-ipv4-cidr-block", "10.0.0.0/24"),
                    ("vpc-id", "vpc-0123456789abcdef0"),
                )
            },
            "placement/availability-zone": "us-east-1a",
            "placement/region": "us-east-1",
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
        }
    return {}


async def run(arguments: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    data = arguments.user_data.read_bytes() if arguments.user_data else b""
    async with await Metadata(arguments.cloud, skew=arguments.skew, user_data=data).start(
        arguments.port, arguments.host
    ) as service:
        print(f"listening on {service.url}", flush=True)
        await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="metadata", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cloud", choices=("aws", "azure", "gcp", "tencent"), required=True)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--skew", type=float, default=0.0, help="seconds that the cloud's clock is ahead")
    parser.add_argument("--user-data", type=Path, default=None, help="file with the node's user data")
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
