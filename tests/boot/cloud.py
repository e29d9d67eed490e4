"""A cloud's side of a boot, as one process on loopback: metadata service, object store, secret store, metrics; on AWS
the autoscaling API as well, with a launch hook that waits.

`python -m tests.boot.cloud --cloud aws --folder DIR --metadata-host HOST --metadata-port 80 --user-data FILE` puts
weights and secrets in place and prints one line of JSON: the control port, and the variables that lead a node's
programs here, with `{host}` for this machine. `GET /state` on the control port tells what the cloud was asked,
`POST /notice {"seconds": 120}` and `/terminate` are what it does to the node, `/store` (on AWS) what somebody has done
to weights and secrets.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from aiohttp import web

from tests.support.node import staged, stores
from tests.support.node.leaving import AutoScaling, api
from tests.support.node.metadata import Metadata

CLOUDS: Final = ("aws", "azure", "gcp")
LAUNCHING, TERMINATING = "spillway-launching", "spillway-terminating"
SHARD_BYTES: Final = 8 << 20
SHARDS: Final = 3
VAULT: Final = "spillway-eastus.vault.azure.net"
PROJECT: Final = "project"
"""As the stand-in metadata service has it."""
URIS: Final = {
    "aws": f"s3://{staged.BUCKET}/{staged.FOLDER}",
    "azure": f"az://spillwayweights/models/{staged.FOLDER}",
    "gcp": f"gs://spillway-models/{staged.FOLDER}",
}
SECRETS: Final = {
    "aws": ("spillway/tls", "spillway/api-keys"),
    "azure": ("spillway-tls", "spillway-api-keys"),
    "gcp": ("spillway-tls", "spillway-api-keys"),
}
"""Certificate and keys, by their names in the cloud's store."""


def secrets(cloud: str, folder: Path) -> dict[str, str]:
    """Name in the cloud's store -> value, from the files in `folder`."""
    certificate, keys = SECRETS[cloud]
    return {certificate: (folder / "tls.pem").read_text(), keys: (folder / "keys.json").read_text()}


def revision() -> dict[str, bytes]:
    """The weights with their manifest."""
    files = staged.weights(SHARD_BYTES, SHARDS)
    return {**files, "manifest.json": staged.manifest(files)}


class Store(Protocol):
    """Weights and secrets as somebody else leaves them."""

    def __call__(self, *, weights: str | None = None, secrets: dict[str, str | None] | None = None) -> None:
        """weights: one of WEIGHTS. secrets: value by name, None for a secret without one."""
        ...


WEIGHTS: Final = ("sound", "format", "checksum")
"""A revision as it should be; one in a format that is not served; one whose last shard is not what its hash is of."""


def _no_store(*, weights: str | None = None, secrets: dict[str, str | None] | None = None) -> None:
    raise NotImplementedError(f"only on AWS: {weights}, {secrets}")


Found = tuple[dict[str, str], stores.Watched, Store]
"""Variables for the node, what the object store was asked, and how to change what it holds."""


def amazon_store(buckets: Any, manager: Any) -> Store:
    """buckets, manager: boto3's clients of S3 and Secrets Manager."""

    def change(*, weights: str | None = None, secrets: dict[str, str | None] | None = None) -> None:
        if weights is not None:
            files = staged.weights(SHARD_BYTES, SHARDS)
            last = max(path for path in files if path.endswith(".safetensors"))
            if weights == "format":
                files = {"config.json": files["config.json"], "pytorch_model.bin": files[last]}
            text = staged.manifest(files)
            if weights == "checksum":
                files[last] = bytes(reversed(files[last]))
            for path, data in {**files, "manifest.json": text}.items():
                buckets.put_object(Bucket=staged.BUCKET, Key=staged.FOLDER + path, Body=data)
        for name, value in (secrets or {}).items():
            manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
            manager.create_secret(Name=name, **({} if value is None else {"SecretString": value}))

    return change


@contextlib.contextmanager
def aws(folder: Path) -> Iterator[Found]:
    import boto3

    os.environ |= {"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    with stores.moto() as (url, watched):
        staged.put_s3(url, staged.weights(SHARD_BYTES, SHARDS))
        who = {"aws_access_key_id": stores.KEY_ID, "aws_secret_access_key": stores.KEY_SECRET}
        where = {"endpoint_url": url, "region_name": "us-east-1"}
        client = boto3.client("secretsmanager", **where, **who)
        for name, value in secrets("aws", folder).items():
            client.create_secret(Name=name, SecretString=value)
        yield {"AWS_ENDPOINT_URL": url}, watched, amazon_store(boto3.client("s3", **where, **who), client)


def _json(start: Callable[..., Any], status: int, body: Any, **headers: str) -> list[bytes]:
    data = json.dumps(body).encode()
    pairs = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    start(f"{status} Told", pairs + [(name.replace("_", "-"), value) for name, value in headers.items()])
    return [data]


def key_vault(values: dict[str, str]) -> stores.App:
    """Key Vault's GET of a secret: a challenge first, then by the token of the challenge's resource.

    https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
    """

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        name = environ["PATH_INFO"].removeprefix("/secrets/").strip("/")
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {stores.TOKEN}":
            # A name of its own port, so that the client takes the challenge for this vault's.
            port = environ["HTTP_HOST"].rpartition(":")[2]
            where = f'authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net:{port}"'
            return _json(start, 401, {"error": {"code": "Unauthorized"}}, WWW_Authenticate=f"Bearer {where}")
        if name not in values:
            return _json(start, 404, {"error": {"code": "SecretNotFound", "message": name}})
        identity = f"https://{environ['HTTP_HOST']}/secrets/{name}/1"
        return _json(start, 200, {"value": values[name], "id": identity, "attributes": {"enabled": True}})

    return app


def secret_manager(values: dict[str, str]) -> stores.App:
    """https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access"""
    paths = {f"/v1/projects/{PROJECT}/secrets/{name}/versions/latest:access": text for name, text in values.items()}

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if environ.get("HTTP_AUTHORIZATION") != f"Bearer {stores.TOKEN}":
            return _json(start, 401, {"error": {"status": "UNAUTHENTICATED"}})
        if environ["PATH_INFO"] not in paths:
            return _json(start, 404, {"error": {"status": "NOT_FOUND"}})
        data = base64.b64encode(paths[environ["PATH_INFO"]].encode()).decode()
        return _json(start, 200, {"payload": {"data": data}})

    return app


def metrics(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """Takes every point."""
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return _json(start, 200, {})


@contextlib.contextmanager
def azure(folder: Path) -> Iterator[Found]:
    objects = stores.Objects("blob")
    objects.objects = {f"models/{staged.FOLDER}{path}": data for path, data in revision().items()}
    watched = stores.Watched(objects)
    pair = str(folder / "vault.pem")
    with (
        stores.serve(watched) as blobs,
        stores.serve(key_vault(secrets("azure", folder)), (pair, pair)) as vault,
        stores.serve(metrics) as points,
    ):
        port = vault.rsplit(":", 1)[1]
        yield (
            {
                "SPILLWAY_BLOB_ENDPOINT": blobs,
                "SPILLWAY_METRICS_ENDPOINT": points,
                "REQUESTS_CA_BUNDLE": "/etc/spillway/authority.pem",
                "VAULT": f"https://{VAULT}:{port}",
            },
            watched,
            _no_store,
        )


@contextlib.contextmanager
def gcp(folder: Path) -> Iterator[Found]:
    objects = stores.Objects("gcs")
    objects.objects = {f"spillway-models/{staged.FOLDER}{path}": data for path, data in revision().items()}
    watched = stores.Watched(objects)
    with (
        stores.serve(watched) as buckets,
        stores.serve(secret_manager(secrets("gcp", folder))) as manager,
        stores.serve(metrics) as points,
    ):
        yield (
            {
                "STORAGE_EMULATOR_HOST": buckets,
                "SPILLWAY_SECRETS_ENDPOINT": manager,
                "SPILLWAY_METRICS_ENDPOINT": points,
            },
            watched,
            _no_store,
        )


OPEN: Final = {"aws": aws, "azure": azure, "gcp": gcp}


class Control:
    """What the test asks and says."""

    def __init__(self, metadata: Metadata, scaling: AutoScaling, watched: stores.Watched, store: Store) -> None:
        self.metadata, self.scaling, self.watched, self.store = metadata, scaling, watched, store

    async def handle(self, request: web.Request) -> web.Response:
        what = request.path.strip("/")
        body: dict[str, Any] = await request.json() if request.can_read_body else {}
        if what == "state":
            return web.json_response(
                {
                    "metadata": [[one.method, one.path, one.status] for one in self.metadata.asked],
                    "approved": self.metadata.approved,
                    "scaling": self.scaling.asked,
                    "waiting": sorted(self.scaling.waiting),
                    "storeBytes": self.watched.bytes("safetensors"),
                }
            )
        if what in ("notice", "rebalance", "terminate", "clear"):
            getattr(self.metadata, what)(**body)
        elif what == "store":
            await asyncio.to_thread(self.store, **body)
        elif what == "fresh":  # nothing stands against the node, nothing was asked
            self.metadata.clear()
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
    scaling = AutoScaling()
    scaling.waiting = {LAUNCHING, TERMINATING}
    data = arguments.user_data.read_bytes() if arguments.user_data else b""
    metadata = Metadata(arguments.cloud, user_data=data)
    with OPEN[arguments.cloud](arguments.folder) as (variables, watched, store):
        watched.seen.clear()
        control = Control(metadata, scaling, watched, store)
        await metadata.start(arguments.metadata_port, arguments.metadata_host)
        async with metadata, api(scaling.handle) as groups, api(control.handle) as told:
            if arguments.cloud == "aws":
                variables["AWS_ENDPOINT_URL_AUTO_SCALING"] = groups
            found = {name: value.replace("//127.0.0.1:", "//{host}:") for name, value in variables.items()}
            print(json.dumps({"control": int(told.rsplit(":", 1)[1]), "environment": found}), flush=True)
            await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="cloud", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cloud", choices=CLOUDS, default="aws")
    parser.add_argument("--folder", type=Path, required=True, help="with tls.pem, keys.json and vault.pem")
    parser.add_argument("--metadata-host", default="127.0.0.1")
    parser.add_argument("--metadata-port", type=int, default=0)
    parser.add_argument("--user-data", type=Path, default=None)
    asyncio.run(run(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
