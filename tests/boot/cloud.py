"""Amazon's side of a boot, as one process on loopback: metadata service, S3, Secrets Manager and CloudWatch (moto), and
the autoscaling API with a launch hook that waits.

`python -m tests.boot.cloud --folder DIR --metadata-host HOST --metadata-port 80 --user-data FILE` puts weights and
secrets in place and prints one line of JSON: the ports. `GET /state` on the control port tells what it was asked,
`POST /notice {"seconds": 120}` and `/terminate` are what the cloud does to the node.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import boto3
from aiohttp import web

from tests.support.node import staged, stores
from tests.support.node.leaving import AutoScaling, api
from tests.support.node.metadata import Metadata

LAUNCHING, TERMINATING = "spillway-launching", "spillway-terminating"
SHARD_BYTES: Final = 24 << 20
SHARDS: Final = 3


def fill(url: str, folder: Path) -> None:
    """The bucket and the two secrets, from the files in `folder`."""
    staged.put_s3(url, staged.weights(SHARD_BYTES, SHARDS))
    client = boto3.client(
        "secretsmanager", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_secret(Name="spillway/tls", SecretString=(folder / "tls.pem").read_text())
    client.create_secret(Name="spillway/api-keys", SecretString=(folder / "keys.json").read_text())


class Control:
    """What the test asks and says."""

    def __init__(self, metadata: Metadata, scaling: AutoScaling, watched: stores.Watched) -> None:
        self.metadata, self.scaling, self.watched = metadata, scaling, watched

    async def handle(self, request: web.Request) -> web.Response:
        what = request.path.strip("/")
        body: dict[str, Any] = await request.json() if request.can_read_body else {}
        if what == "state":
            return web.json_response(
                {
                    "metadata": [[one.method, one.path, one.status] for one in self.metadata.asked],
                    "scaling": self.scaling.asked,
                    "waiting": sorted(self.scaling.waiting),
                    "storeBytes": self.watched.bytes(staged.FOLDER),
                    "store": [[one.method, one.path, one.status] for one in self.watched.seen],
                }
            )
        if what in ("notice", "rebalance", "terminate", "clear"):
            getattr(self.metadata, what)(**body)
        elif what == "fresh":  # another instance of the group, as the cloud sees it
            self.metadata.clear()
            self.metadata.tree |= body
            self.scaling.waiting = {LAUNCHING, TERMINATING}
            self.scaling.asked.clear()
            self.watched.seen.clear()
            self.metadata.asked.clear()
        else:
            return web.Response(status=404)
        return web.Response(status=204)


async def run(arguments: argparse.Namespace) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    os.environ |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    scaling = AutoScaling()
    scaling.waiting = {LAUNCHING, TERMINATING}
    with stores.moto() as (url, watched):
        await asyncio.to_thread(fill, url, arguments.folder)
        watched.seen.clear()
        metadata = Metadata("aws", user_data=arguments.user_data.read_bytes() if arguments.user_data else b"")
        control = Control(metadata, scaling, watched)
        await metadata.start(arguments.metadata_port, arguments.metadata_host)
        async with metadata, api(scaling.handle) as groups, api(control.handle) as told:
            ports = {"moto": url, "scaling": groups, "control": told, "metadata": metadata.url}
            print(json.dumps({name: int(value.rsplit(":", 1)[1]) for name, value in ports.items()}), flush=True)
            await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="cloud", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="with tls.pem and keys.json")
    parser.add_argument("--metadata-host", default="127.0.0.1")
    parser.add_argument("--metadata-port", type=int, default=0)
    parser.add_argument("--user-data", type=Path, default=None)
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
