"""What the types of Cloudflare share: ids, times, accounts, host names, and the codes of the API's refusals."""

from __future__ import annotations

import ipaddress
import re
import secrets as random_source
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.cloudflare import tokens
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import matches, shown

VALIDATION: Final = "1002"
"""Load Balancing's "validation failed": https://github.com/cloudflare/terraform-provider-cloudflare/issues/133"""
REFERENCED: Final = "1005"
""""This object is referenced by other objects, delete them first.":
https://github.com/cloudflare/terraform-provider-cloudflare/issues/66"""
QUOTA: Final = "1003"
"""More objects than the plan includes; documented without its code:
https://developers.cloudflare.com/load-balancing/troubleshooting/common-error-codes/#exceeded-quota-error"""

HOST: Final = r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""A full host name in lower case, labels of 1 to 63 characters, 253 in all (RFC 1035, section 2.3.4)."""
REGIONS: Final = ("WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC", "ME", "NAF", "SAF", "SAS", "SEAS", "NEAS")
"""https://developers.cloudflare.com/load-balancing/reference/region-mapping-api/#list-of-load-balancer-regions"""


def now() -> str:
    """The time as the API writes it: `2026-11-21T10:00:00.000000Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hex_id() -> str:
    """A new id: 32 hex digits, https://developers.cloudflare.com/fundamentals/account/find-account-and-zone-ids/"""
    return random_source.token_hex(16)


def ids(args: Args, *patterns: str) -> Iterator[Fault]:
    """Ids are 32 hex digits."""
    for pattern in patterns:
        yield from matches(args, pattern, r"[0-9a-f]{32}", "an id of 32 hex digits")


def words(args: Args, pattern: str, allowed: tuple[str, ...]) -> Iterator[Fault]:
    """One word of a list. The provider compares without regard to case (stringvalidator.OneOfCaseInsensitive), but the
    API writes back its own spelling, which would be a difference at the next refresh: another spelling is refused."""
    for path, value in args.at(pattern):
        if value not in allowed:
            named = ", ".join(word or '""' for word in allowed)
            yield Fault(path, f"expected one of {named}; got {shown(value)}")


def address_fault(text: str, *, private: bool = False) -> str | None:
    """Why a text cannot be an endpoint's address, None when it can: a public IP address or a full host name.

    private: addresses of private networks pass too, as they do with a virtual network. The networks of RFC 5737, 2544
    and 3849, which are for documentation and benchmarks, pass: the provider's own examples use them.
    """
    if "://" in text or "/" in text:
        return "expected an IP address or a host name, not a URL"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        if re.fullmatch(r"[0-9.]+|.*:.*", text):
            return "expected an IP address or a host name; a port has its own property"
        return None if re.fullmatch(HOST, text) else "expected an IP address or a full host name in lower case"
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        return "expected an address that can be reached from outside"
    inside = any(address in network for network in _PRIVATE if network.version == address.version)
    return "expected a public address; a private one needs virtualNetworkId" if inside and not private else None


_PRIVATE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "0.0.0.0/8",
        "240.0.0.0/4",
        "fc00::/7",
    )
)


def account_of(resource: Resource) -> str:
    """The account that a resource names; zones name it in an object."""
    if resource.token == tokens.ZONE:
        return str((resource["account"] or {}).get("id", ""))
    return str(resource["accountId"] or "")


def same_account(cloud: Cloud, token: str, id: Any, account: str, path: str) -> None:
    """Raises CloudError when the other object belongs to another account: the API of this one does not know it."""
    other = cloud.get(token, id) if isinstance(id, str) else None
    if other is not None and account_of(other) != account:
        what = token.rsplit(":", 1)[-1]
        raise CloudError(VALIDATION, f"{path}: the {what} '{id}' is not in account {account}: validation failed")


def within(name: str, zone: str) -> bool:
    """Whether a host name is the zone's own or lies in the zone."""
    return name == zone or name.endswith(f".{zone}")


class Object(Kind):
    """Base of all types: ids of 32 hex digits, one worldwide API, no tags, times of creation and change."""

    regional: ClassVar[bool] = False
    taggable: ClassVar[bool] = False
    changes_on_update: ClassVar[tuple[str, ...]] = ("modifiedOn",)
    not_found_code: ClassVar[str] = "1001"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return hex_id()

    @staticmethod
    def stamps(old: Resource | None) -> dict[str, Any]:
        """createdOn stays, modifiedOn is now."""
        time = now()
        return {"createdOn": old["createdOn"] if old else time, "modifiedOn": time}
