"""Names, ids and tags of what an Azure region stack makes, with Azure's own length and character rules. Pure.

Rules without a source of their own:
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Final

from infra import naming

_SUBSCRIPTION: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

RESOURCE_GROUP_NAME_MAX: Final = 90
SCALE_SET_NAME_MAX: Final = 64
ACCOUNT_NAME_MAX: Final = 24
"""Storage accounts: 3 to 24 lower-case letters and digits, one of its name in the world."""
VAULT_NAME_MAX: Final = 24
"""Key vaults: 3 to 24 letters, digits and single hyphens, one of its name in the world."""
APP_NAME_MAX: Final = 32
"""Function apps may have 60 characters, but the first 32 tell one host from another:
https://learn.microsoft.com/azure/azure-functions/storage-considerations#host-id-considerations"""
COMPUTER_NAME_PREFIX_MAX: Final = 58
SECRET_NAME_MAX: Final = 127
COLLECTION_ENDPOINT_NAME_MAX: Final = 44
ACTION_GROUP_SHORT_NAME_MAX: Final = 12

# https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
TAGS_MAX: Final = 50
VAULT_TAGS_MAX: Final = 15
"""https://learn.microsoft.com/azure/key-vault/general/service-limits"""
TAG_KEY_MAX: Final = 512
TAG_VALUE_MAX: Final = 256
TAG_KEY: Final = re.compile(r"[^<>%&\\?/]+")
RESERVED_TAGS: Final = ("microsoft", "azure", "windows", f"{naming.PROJECT}-")
"""Beginnings of tag names: Azure's own (https://learn.microsoft.com/rest/api/resources/tags/create-or-update), ours."""


def subscription(text: str) -> str:
    """A subscription id; raises ValueError when it is not a UUID in lower case."""
    if not _SUBSCRIPTION.fullmatch(text):
        raise ValueError(f"subscription {text!r}: expected a UUID in lower case")
    return text


def resource_group(stack: str) -> str:
    """`azure-eastus` -> `spillway-azure-eastus`, which holds everything of the region."""
    return _at_most(naming.region_prefix(stack), RESOURCE_GROUP_NAME_MAX)


def scale_set(stack: str, pool: naming.Pool) -> str:
    """The scale set of a pool: `spillway-azure-eastus-spot`."""
    return _at_most(naming.pool_name(stack, pool), SCALE_SET_NAME_MAX)


def storage_account(stack: str, subscription_id: str) -> str:
    """The model store's account: `spillway` and 16 hex digits that no other stack or subscription has."""
    return _at_most(f"{naming.PROJECT}{_digest(stack, subscription_id, 16)}", ACCOUNT_NAME_MAX)


def vault(stack: str, subscription_id: str) -> str:
    """The key vault of the secrets: `spillway-` and 15 hex digits.

    A deleted vault keeps its name for as long as soft delete says (7 days here), and no program can purge it: before
    the stack is made again in that time, `az keyvault purge --name ...`.
    https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
    """
    return _at_most(f"{naming.PROJECT}-{_digest(stack, subscription_id, 15)}", VAULT_NAME_MAX)


def collection_endpoint(stack: str) -> str:
    """The data collection endpoint of the nodes' logs: `spillway-azure-eastus-nodes`."""
    return _at_most(naming.name(stack, "nodes"), COLLECTION_ENDPOINT_NAME_MAX)


def function_app(stack: str, subscription_id: str) -> str:
    """The function app of the fallback, which is a host name too: `spillway-` and 16 hex digits."""
    return _at_most(f"{naming.PROJECT}-{_digest(stack, subscription_id, 16)}", APP_NAME_MAX)


def function_storage(stack: str, subscription_id: str) -> str:
    """The storage account of the function: `spillwayfn` and 14 hex digits."""
    return _at_most(f"{naming.PROJECT}fn{_digest(stack, subscription_id, 14)}", ACCOUNT_NAME_MAX)


def function_role(stack: str, subscription_id: str) -> str:
    """The GUID of the function's own role; a role has one in the whole directory."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{group_id(subscription_id, resource_group(stack))}|fallback".lower()))


def secret_url(vault_name: str, secret: str) -> str:
    """Where a node reads a secret; without a version it is the newest one. Raises ValueError for a name that no secret
    of a vault can have.

    https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
    """
    if not re.fullmatch(rf"[A-Za-z0-9-]{{1,{SECRET_NAME_MAX}}}", secret):
        raise ValueError(f"secret {secret!r}: expected up to {SECRET_NAME_MAX} letters, digits and hyphens")
    return f"https://{vault_name}.vault.azure.net/secrets/{secret}"


def computer_prefix(pool: str) -> str:
    """What host names of a pool begin with; six characters follow."""
    return _at_most(f"{naming.PROJECT}-{pool}-", COMPUTER_NAME_PREFIX_MAX)


def group_id(subscription_id: str, group: str) -> str:
    """The id of a resource group, known before it exists."""
    return f"/subscriptions/{subscription(subscription_id)}/resourceGroups/{group}"


def role_id(subscription_id: str, role: str) -> str:
    """The id of a role's definition, from the role's GUID."""
    return f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role}"


def assignment(scope: str, principal: str, role: str) -> str:
    """The name of a role assignment, a GUID that the same assignment always has: made twice, it is refused as a
    duplicate. `principal`: the id of the identity as a resource, which is known before its principal is."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{principal}|{role}".lower()))


def tags(
    stack: str,
    component: str,
    extra: Mapping[str, str] | None = None,
    *,
    pool: str | None = None,
    most: int = TAGS_MAX,
) -> dict[str, str]:
    """The tags of one resource: the stack's own, `extra` from the stack file, and a pool.

    No colons as on AWS: several services refuse them. Raises ValueError on what Azure would refuse; names of tags are
    case-insensitive.
    """
    own = {f"{naming.PROJECT}-stack": stack, f"{naming.PROJECT}-component": component}
    own[f"{naming.PROJECT}-managed-by"] = "pulumi"
    if pool is not None:
        own[f"{naming.PROJECT}-pool"] = pool
    seen: set[str] = set()
    for key, value in (extra or {}).items():
        if key.lower().startswith(RESERVED_TAGS):
            raise ValueError(f"tag {key!r}: keys that start with {', '.join(RESERVED_TAGS)} are reserved")
        if not 1 <= len(key) <= TAG_KEY_MAX or not TAG_KEY.fullmatch(key):
            raise ValueError(f"tag {key!r}: expected 1 to {TAG_KEY_MAX} characters without <>%&\\?/")
        if len(value) > TAG_VALUE_MAX:
            raise ValueError(f"tag {key!r}: expected a value of up to {TAG_VALUE_MAX} characters, got {len(value)}")
        if key.lower() in seen:
            raise ValueError(f"tag {key!r}: is given twice, tag names are case-insensitive")
        seen.add(key.lower())
    merged = {**(extra or {}), **own}
    if len(merged) > most:
        raise ValueError(f"{len(merged)} tags on {component}, the limit is {most}")
    return merged


def _digest(stack: str, subscription_id: str, digits: int) -> str:
    text = f"{naming.region_prefix(stack)}|{subscription(subscription_id)}"
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def _at_most(name: str, limit: int) -> str:
    if len(name) > limit:
        raise ValueError(f"name {name!r} has {len(name)} characters, the limit is {limit}")
    return name
