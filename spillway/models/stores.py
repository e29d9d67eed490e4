"""Which bucket a stack file means: one opener per cloud, and one per stand-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra import naming
from spillway.models.store import ModelStore

if TYPE_CHECKING:
    from infra.config import RegionConfig


def _s3(config: RegionConfig, profile: str | None, parallel: int) -> ModelStore:
    from spillway.models import s3

    bucket = naming.bucket_name(config.account, config.region)
    return s3.open_store(bucket, config.account, config.region, profile, parallel)


def _blob(config: RegionConfig, profile: str | None, parallel: int) -> ModelStore:
    from infra.azure import names
    from spillway.models import blob

    account = names.storage_account(config.stack_name, config.account)
    return blob.open_store(f"https://{account}.blob.core.windows.net", parallel)


def _gcs(config: RegionConfig, profile: str | None, parallel: int) -> ModelStore:
    from infra.gcp import names
    from spillway.models import gcs

    return gcs.open_store(names.bucket_name(config.account, config.region), config.account, parallel)


def _s3_stand_in(config: RegionConfig, sandbox: Path) -> ModelStore:
    from sandbox.aws import s3

    bucket = naming.bucket_name(config.account, config.region)
    return _stand_in(config, sandbox, "aws", s3.BUCKETS, "bucket", bucket, f"s3://{bucket}")


def _blob_stand_in(config: RegionConfig, sandbox: Path) -> ModelStore:
    from infra.azure import names
    from sandbox.azure_native import tokens

    account = names.storage_account(config.stack_name, config.account)
    found = (tokens.STORAGE_ACCOUNT,)
    return _stand_in(config, sandbox, "azure-native", found, "name", account, f"az://{account}")


def _gcs_stand_in(config: RegionConfig, sandbox: Path) -> ModelStore:
    from infra.gcp import names
    from sandbox.gcp import tokens

    bucket = names.bucket_name(config.account, config.region)
    return _stand_in(config, sandbox, "gcp", (tokens.BUCKET,), "name", bucket, f"gs://{bucket}")


def _stand_in(
    config: RegionConfig, sandbox: Path, package: str, tokens: tuple[str, ...], key: str, name: str, where: str
) -> ModelStore:
    """A directory for the bucket that the stand-in holds: one of `tokens`, with `name` as its output `key`."""
    from sandbox.store import CLOUDS, Store
    from spillway.models.directory import StandInBucket

    made = None
    if (sandbox / CLOUDS).exists():  # opening a store makes its file, and asking must not
        store = Store(sandbox)
        try:
            with store.transaction(write=False) as tx:
                found = [one for token in tokens for one in tx.all(package, token)]
        finally:
            store.close()
        made = next((one.created_at for one in found if one[key] == name and one.account == config.account), None)
    return StandInBucket(sandbox, name, made, f"{where} (sandbox)")


OPENERS: Final[Mapping[str, Callable[[RegionConfig, str | None, int], ModelStore]]] = {
    "aws": _s3,
    "azure": _blob,
    "gcp": _gcs,
}
STAND_INS: Final[Mapping[str, Callable[[RegionConfig, Path], ModelStore]]] = {
    "aws": _s3_stand_in,
    "azure": _blob_stand_in,
    "gcp": _gcs_stand_in,
}


def open_store(config: RegionConfig, sandbox: Path | None, profile: str | None, parallel: int) -> ModelStore:
    """The model bucket of a region on one of OPENERS' clouds; of the stand-in when `sandbox` is its directory.

    parallel: requests at once. Raises what the SDK says of missing credentials, BucketError where it is not installed.
    """
    if sandbox is not None:
        return STAND_INS[config.cloud](config, sandbox)
    return OPENERS[config.cloud](config, profile, parallel)
