"""Zones, their settings and their DNSSEC.

https://developers.cloudflare.com/dns/zone-setups/, https://developers.cloudflare.com/api/resources/zones/
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.cloudflare import limits, tokens
from sandbox.cloudflare.common import HOST, Object, ids, now, words
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.rules import shown

PLAN_NAMES: Final = ("Free Website", "Pro Website", "Business Website", "Enterprise Website")
NAME_SERVERS: Final = ("ada", "bob", "cruz", "dana", "elma", "finn", "gina", "hank")
"""A zone has two of many: https://developers.cloudflare.com/dns/nameservers/"""
ON_OFF: Final = ("on", "off")
SETTINGS: Final[Mapping[str, tuple[object, ...] | None]] = {
    "0rtt": ON_OFF,
    "always_online": ON_OFF,
    "always_use_https": ON_OFF,
    "automatic_https_rewrites": ON_OFF,
    "brotli": ON_OFF,
    "browser_cache_ttl": None,
    "browser_check": ON_OFF,
    "cache_level": ("aggressive", "basic", "simplified"),
    "challenge_ttl": None,
    "ciphers": None,
    "cname_flattening": ("flatten_at_root", "flatten_all"),
    "development_mode": ON_OFF,
    "early_hints": ON_OFF,
    "email_obfuscation": ON_OFF,
    "h2_prioritization": ("on", "off", "custom"),
    "hotlink_protection": ON_OFF,
    "http2": ON_OFF,
    "http3": ON_OFF,
    "ip_geolocation": ON_OFF,
    "ipv6": ON_OFF,
    "max_upload": None,
    "min_tls_version": ("1.0", "1.1", "1.2", "1.3"),
    "opportunistic_encryption": ON_OFF,
    "opportunistic_onion": ON_OFF,
    "orange_to_orange": ON_OFF,
    "origin_error_page_pass_thru": ON_OFF,
    "origin_max_http_version": ("1", "2"),
    "polish": ("off", "lossless", "lossy"),
    "prefetch_preload": ON_OFF,
    "proxy_read_timeout": None,
    "pseudo_ipv4": ("off", "add_header", "overwrite_header"),
    "response_buffering": ON_OFF,
    "rocket_loader": ON_OFF,
    "security_header": None,
    "security_level": ("off", "essentially_off", "low", "medium", "high", "under_attack"),
    "server_side_exclude": ON_OFF,
    "sort_query_string_for_cache": ON_OFF,
    "ssl": ("off", "flexible", "full", "strict", "origin_pull"),
    "tls_1_3": ("on", "off", "zrt"),
    "tls_client_auth": ON_OFF,
    "true_client_ip_header": ON_OFF,
    "waf": ON_OFF,
    "webp": ON_OFF,
    "websockets": ON_OFF,
}
"""Setting -> its values, None for others than words: https://developers.cloudflare.com/api/resources/zones/subresources/settings/"""
ENTERPRISE_SETTINGS: Final = (
    "origin_error_page_pass_thru", "orange_to_orange", "prefetch_preload", "proxy_read_timeout", "response_buffering",
    "sort_query_string_for_cache", "true_client_ip_header",
)  # fmt: skip


@CLOUDFLARE.kind
class Zone(Object):
    """cloudflare_zone. A new zone is pending until its registrar names Cloudflare's name servers, which no stand-in can
    see; it answers all the same: https://developers.cloudflare.com/dns/zone-setups/reference/domain-status/"""

    token = tokens.ZONE
    replace_on = ("name", "account")
    defaults: ClassVar[Mapping[str, Any]] = {"paused": False, "type": "full"}

    def check(self, args: Args) -> Iterable[Fault]:
        yield from rules.matches(args, "name", HOST, "a domain name in lower case such as example.com")
        account = args["account"]
        if isinstance(account, dict) and account.get("id") is None:
            yield Fault("account.id", "is required")
        yield from ids(args, "account.id")
        yield from words(args, "type", ("full", "partial", "secondary", "internal"))
        yield from rules.matches(args, "vanityNameServers[*]", HOST, "a host name in lower case")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        for zone in limits.in_account(cloud, tokens.ZONE, args["account"]["id"]):
            if zone["name"] == args["name"]:
                raise CloudError("1061", f"{args['name']} already exists")
        self._check_state(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud)

    @staticmethod
    def _check_state(args: Args, cloud: Cloud) -> None:
        # https://developers.cloudflare.com/dns/zone-setups/partial-setup/#availability and its neighbours
        kind = args.get("type", "full")
        if kind == "partial":
            limits.needs_plan(cloud, limits.BUSINESS, "a partial zone")
        if kind in ("secondary", "internal"):
            limits.needs_plan(cloud, limits.ENTERPRISE, f"a zone of type {kind}")
        if args.get("vanityNameServers"):
            limits.needs_plan(cloud, limits.BUSINESS, "vanityNameServers")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind, plan = args.get("type", "full"), limits.plan(cloud)
        first = int(id[:8], 16) % (len(NAME_SERVERS) // 2) * 2
        return {
            **self.stamps(old),
            "status": "pending",
            "nameServers": [f"{name}.ns.cloudflare.com" for name in NAME_SERVERS[first : first + 2]],
            "verificationKey": f"{int(id[8:16], 16)}-{int(id[16:24], 16)}" if kind == "partial" else "",
            "plan": old["plan"] if old else {"id": hashlib.md5(limits.PLANS[plan].encode()).hexdigest(),
                                             "legacyId": limits.PLANS[plan], "name": PLAN_NAMES[plan],
                                             "currency": "USD", "frequency": "monthly", "isSubscribed": plan > 0},
            "owner": {"id": args["account"].get("id"), "type": "organization", "name": ""},
            "meta": {"step": 2, "pageRuleQuota": (3, 20, 50, 125)[plan], "phishingDetected": False,
                     "customCertificateQuota": int(plan >= limits.BUSINESS)},
            "permissions": ["#zone:read", "#zone:edit", "#dns_records:read", "#dns_records:edit"],
        }  # fmt: skip

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (tokens.DNS_RECORD, tokens.LOAD_BALANCER, tokens.ZONE_SETTING, tokens.ZONE_DNSSEC):
            for inner in cloud.all(token):
                if inner["zoneId"] == resource.id:
                    cloud.remove(token, inner.id)


_IN_ZONE: Final = Ref("zoneId", (tokens.ZONE,), code="7003", blocks_delete=False)
"""What is in a zone goes with it."""


@CLOUDFLARE.kind
class ZoneSetting(Object):
    """cloudflare_zone_setting. The Pulumi provider takes the setting's name as the id, which all zones share; in the
    stand-in the id has to tell zones apart, and is `<zone>/<setting>`."""

    token = tokens.ZONE_SETTING
    replace_on = ("settingId", "zoneId")
    references = (_IN_ZONE,)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "zoneId")
        setting = args.get("settingId")
        if not isinstance(setting, str):
            return
        if setting not in SETTINGS:
            yield Fault("settingId", f"{shown(setting)} is no setting of a zone; known are {', '.join(SETTINGS)}")
            return
        allowed = SETTINGS[setting]
        if allowed is not None:
            for path, value in args.at("value"):
                if value not in allowed:
                    yield Fault(path, f"expected one of {', '.join(map(str, allowed))}; got {shown(value)}")
        if setting == "proxy_read_timeout":
            yield from rules.between(args, "value", 1, 6000, "seconds")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['zoneId']}/{args['settingId']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args["settingId"] in ENTERPRISE_SETTINGS:
            limits.needs_plan(cloud, limits.ENTERPRISE, f"the setting {args['settingId']}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"editable": True, "modifiedOn": now(), "enabled": args.get("enabled", True)}


@CLOUDFLARE.kind
class ZoneDnssec(Object):
    """cloudflare_zone_dnssec; active only once the registrar has the DS record, until then pending."""

    token = tokens.ZONE_DNSSEC
    replace_on = ("zoneId",)
    references = (_IN_ZONE,)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "zoneId")
        yield from words(args, "status", ("active", "disabled"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["zoneId"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if cloud.get(self.token, args["zoneId"]):
            raise CloudError("1003", f"DNSSEC of the zone '{args['zoneId']}' is managed already")
        if args.get("dnssecPresigned"):
            limits.needs_plan(cloud, limits.ENTERPRISE, "dnssecPresigned")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        zone = cloud.get(tokens.ZONE, id)
        tag, digest = int(id[:4], 16), hashlib.sha256(id.encode()).hexdigest().upper()
        name = zone["name"] if zone else ""
        return {
            "modifiedOn": now(),
            "algorithm": "13",
            "digest": digest,
            "digestAlgorithm": "SHA256",
            "digestType": "2",
            "ds": f"{name}. 3600 IN DS {tag} 13 2 {digest}",
            "flags": 257,
            "keyTag": tag,
            "keyType": "ECDSAP256SHA256",
            "publicKey": old["publicKey"] if old else digest[:32],
        }
