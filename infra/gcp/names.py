"""Names and labels of everything in a GCP region, with Google Cloud's own length and character rules. Pure.

Names are fixed, as everywhere (see infra/naming.py). Where a region's or a project's name is too long for what has to
carry it, a hash of it stands in: the same for the same name, so a retry is still refused as a duplicate.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from infra import naming
from infra.naming import PROJECT, Pool

# https://docs.cloud.google.com/compute/docs/naming-resources
NAME_MAX: Final = 63
# https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers (baseInstanceName)
BASE_INSTANCE_NAME_MAX: Final = 58
# https://docs.cloud.google.com/iam/docs/service-accounts-create
ACCOUNT_ID_MAX: Final = 30
# https://docs.cloud.google.com/storage/docs/buckets#naming
BUCKET_NAME_MAX: Final = 63
# https://docs.cloud.google.com/iam/docs/reference/rest/v1/projects.roles/create (roleId)
ROLE_ID_MAX: Final = 64
# https://docs.cloud.google.com/run/docs/deploying: of a service, which a function becomes
SERVICE_NAME_MAX: Final = 49
# https://docs.cloud.google.com/compute/docs/labeling-resources#requirements
LABEL_MAX: Final = 63
LABELS_MAX: Final = 64
RESERVED_LABELS: Final = (f"{PROJECT}-", "goog")
# https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects#before_you_begin
_PROJECT: Final = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
# https://docs.cloud.google.com/compute/docs/regions-zones
_REGION: Final = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_LABEL_KEY: Final = re.compile(rf"[a-z][a-z0-9_-]{{0,{LABEL_MAX - 1}}}")
_LABEL_VALUE: Final = re.compile(rf"[a-z0-9_-]{{0,{LABEL_MAX}}}")
# https://docs.cloud.google.com/secret-manager/docs/creating-and-accessing-secrets
_SECRET_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")
_HASH_DIGITS: Final = 8


def _hash(text: str, digits: int = _HASH_DIGITS) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def name(stack: str, suffix: str) -> str:
    """`spillway-gcp-us-central1-<suffix>`; raises ValueError when it is longer than 63 characters."""
    return naming.name(stack, suffix, NAME_MAX)


def is_region(text: str) -> bool:
    """Whether a text has the form of a region's name."""
    return _REGION.fullmatch(text) is not None


def pool_name(stack: str, pool: Pool) -> str:
    """The instance group of a pool, and how the names of its instances begin."""
    if pool not in naming.POOLS:
        raise ValueError(f"pool {pool!r}: expected one of {', '.join(naming.POOLS)}")
    return naming.name(stack, pool, BASE_INSTANCE_NAME_MAX)


def template_name(stack: str, pool: Pool, content: Mapping[str, Any]) -> str:
    """The instance template of a pool with a hash of what is in it.

    Templates are immutable: a change makes another one, which has to stand before the old one can go. `content`: plain
    values, as JSON takes them.
    """
    return name(stack, f"{pool}-{_hash(json.dumps(content, sort_keys=True))}")


def account_id(region: str, label: str) -> str:
    """The id of a service account, unique in its project: `spillway-us-central1-node`, at most 30 characters.

    Where the region's name is too long, a hash of it stands in. Raises ValueError for a label that does not fit either.
    """
    if not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r}: expected a GCP region such as us-central1")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", label):
        raise ValueError(f"label {label!r}: expected lower-case letters, digits and single hyphens")
    full = f"{PROJECT}-{region}-{label}"
    if len(full) > ACCOUNT_ID_MAX:
        full = f"{PROJECT}-{_hash(region)}-{label}"
    if len(full) > ACCOUNT_ID_MAX:
        raise ValueError(f"service account {full!r} has {len(full)} characters, the limit is {ACCOUNT_ID_MAX}")
    return full


def account_email(project: str, account: str) -> str:
    """Known before the account exists (https://docs.cloud.google.com/iam/docs/service-account-types#user-managed)."""
    return f"{account}@{project}.iam.gserviceaccount.com"


def bucket_name(project: str, region: str) -> str:
    """The model bucket of a project and region. Bucket names are global, hence the project in it, or its hash."""
    return _bucket("models", project, region)


def function_bucket_name(project: str, region: str) -> str:
    """The bucket of the fallback function: its archive, and what it has to see again."""
    return _bucket("fallback", project, region)


def _bucket(what: str, project: str, region: str) -> str:
    if not _PROJECT.fullmatch(project):
        raise ValueError(f"account {project!r}: expected a project id of 6 to 30 lower-case letters, digits, hyphens")
    if not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r}: expected a GCP region such as us-central1")
    full = f"{PROJECT}-{what}-{project}-{region}"
    return full if len(full) <= BUCKET_NAME_MAX else f"{PROJECT}-{what}-{_hash(project, 12)}-{region}"


def function_name(stack: str) -> str:
    """The fallback function, and the service that it runs as."""
    return naming.name(stack, "fallback", SERVICE_NAME_MAX)


def role_id(stack: str, label: str, unique_id: str) -> str:
    """The id of a custom role, which takes no hyphens: `spillway_gcp_us_central1_fallback_12345678`.

    unique_id: of the account that has the role; a new account is another one. A role that was deleted keeps its id to
    itself from the 7th to the 37th day after (https://docs.cloud.google.com/iam/docs/creating-custom-roles#deleting),
    so a region that is built again a fortnight later must not ask for the same one.
    """
    return naming.name(stack, f"{label}-{_hash(unique_id)}", ROLE_ID_MAX).replace("-", "_")


def secret_id(text: str) -> str:
    """The id of a secret as it is; raises ValueError when Secret Manager would refuse it (a slash, for one)."""
    if not _SECRET_ID.fullmatch(text):
        raise ValueError(f"secret {text!r}: expected 1 to 255 letters, digits, _ and -")
    return text


def label_value(text: str) -> str:
    """A text as a label's value or a part of an image's name, neither of which takes dots: 2026.11.1 -> 2026-11-1."""
    value = re.sub(r"[^a-z0-9_-]", "-", text.lower())
    if len(value) > LABEL_MAX:
        raise ValueError(f"{text!r}: expected at most {LABEL_MAX} characters in a label")
    return value


def image_name(family: str, version: str) -> str:
    """The baked image of a family and version: `spillway-vllm-2026-11-1`."""
    full = f"{family}-{label_value(version).replace('_', '-').strip('-')}"
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", full):
        raise ValueError(f"image {full!r}: expected up to {NAME_MAX} lower-case letters, digits and hyphens")
    return full


def label_fault(key: str, value: str) -> str | None:
    """Why a tag of the stack file can be no label, or None."""
    if key.startswith(RESERVED_LABELS):
        return f"labels that begin with {' or '.join(RESERVED_LABELS)} are set by Google and by the stack"
    if not _LABEL_KEY.fullmatch(key):
        return (
            f"to Google Cloud a label: its key has 1 to {LABEL_MAX} lower-case letters, digits, _ and -, a letter first"
        )
    if not _LABEL_VALUE.fullmatch(value):
        return f"to Google Cloud a label: its value has up to {LABEL_MAX} lower-case letters, digits, _ and -"
    return None


def labels(
    stack: str, component: str, extra: Mapping[str, str] | None = None, *, pool: str | None = None
) -> dict[str, str]:
    """The labels of one resource: the stack's own, `extra` from the stack file, and a pool.

    Budgets and metrics filter by `spillway-stack`, so `extra` cannot replace the stack's own keys. Raises ValueError on
    a key or value that Google Cloud would refuse.
    """
    own = {f"{PROJECT}-stack": stack, f"{PROJECT}-component": component, f"{PROJECT}-managed-by": "pulumi"}
    if pool is not None:
        own[f"{PROJECT}-pool"] = pool
    for key, value in (extra or {}).items():
        why = label_fault(key, value)
        if why is not None:
            raise ValueError(f"label {key!r} = {value!r}: {why}")
    merged = {**(extra or {}), **own}
    if len(merged) > LABELS_MAX:
        raise ValueError(f"{len(merged)} labels on {component}, the limit is {LABELS_MAX}")
    return merged
