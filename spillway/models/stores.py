"""Which bucket a stack file means: one opener per cloud, and one per stand-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra import naming
from spillway.models.store import BucketError, ModelStore

if TYPE_CHECKING:
    from infra.config import RegionConfig


def _s3(config: RegionConfig, profile: str | None, parallel: int) -> ModelStore:
    from spillway.models import s3

    bucket = naming.bucket_name(config.account, config.region)
    return s3.open_store(bucket, config.account, config.region, profile, parallel)


def _s3_stand_in(config: RegionConfig, sandbox: Path) -> ModelStore:
    from sandbox.aws import s3
    from sandbox.clouds import registry
    from sandbox.store import CLOUDS, Store
    from spillway.models.directory import StandInBucket

    bucket = naming.bucket_name(config.account, config.region)
    made = None
    if (sandbox / CLOUDS).exists():  # opening a store makes its file, and asking must not
        store = Store(sandbox)
        try:
            with store.transaction(write=False) as tx:
                found = [r for token in s3.BUCKETS for r in tx.all(registry("aws").package, token, config.region)]
        finally:
            store.close()
        made = next((r.created_at for r in found if r["bucket"] == bucket and r.account == config.account), None)
    return StandInBucket(sandbox, bucket, made, f"s3://{bucket} (sandbox)")


OPENERS: Final[Mapping[str, Callable[[RegionConfig, str | None, int], ModelStore]]] = {"aws": _s3}
STAND_INS: Final[Mapping[str, Callable[[RegionConfig, Path], ModelStore]]] = {"aws": _s3_stand_in}


def open_store(config: RegionConfig, sandbox: Path | None, profile: str | None, parallel: int) -> ModelStore:
    """The model bucket of a region; of the stand-in when `sandbox` is its directory. parallel: requests at once.

    Raises BucketError for a cloud without one, and what the SDK says of missing credentials.
    """
    if sandbox is not None:
        stand_in = STAND_INS.get(config.cloud)
        if stand_in is None:
            raise BucketError(f"the stand-in {config.cloud} has no model bucket: leave --sandbox out")
        return stand_in(config, sandbox)
    opener = OPENERS.get(config.cloud)
    if opener is None:
        raise BucketError(f"cloud = {config.cloud}: `spillway models` reaches {', '.join(OPENERS)}")
    return opener(config, profile, parallel)
