"""Cloudflare's API as a preflight asks it; read-only calls with the token of CLOUDFLARE_API_TOKEN.

Needs of the token: Zone:Read, DNS:Read, Load Balancers:Read, Load Balancing Monitors and Pools:Read; Billing:Read only
to see whether Load Balancing was bought before anything uses it.
https://developers.cloudflare.com/fundamentals/api/reference/permissions/
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from spillway.preflight.cloudflare_checks import LoadBalancing, Token
from spillway.preflight.global_context import DnsZone
from spillway.preflight.model import Asker, Unanswered, Unreachable, once, understood

Json = Mapping[str, Any]

BASE: Final = "https://api.cloudflare.com/client/v4"
TOKEN: Final = "CLOUDFLARE_API_TOKEN"
TRIES: Final = 4
PER_PAGE: Final = 50
MAX_PAGES: Final = 100
_TOKEN: Final = re.compile(r"[!-~]+")
_WAITS: Final = (1.0, 2.0, 4.0)
_NOT_ENABLED: Final = ("not enabled", "not entitled", "not allowed", "subscription")
"""Words of the API's refusals where Load Balancing was not bought:
https://developers.cloudflare.com/load-balancing/troubleshooting/common-error-codes/"""


class _Refused(Exception):
    """An answer with success: false."""

    def __init__(self, status: int, errors: Any) -> None:
        told = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
        self.status, self.codes = status, [error.get("code") for error in told]
        self.text = "; ".join(" ".join(str(error.get("message", "")).split()) for error in told) or f"HTTP {status}"
        super().__init__(self.text)


class CloudflareApi(Asker):
    """One account. `transport` and `sleep` are replaced in tests."""

    stand_in = False

    def __init__(
        self,
        account: str,
        token: str,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self._account, self._sleep = account, sleep
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "User-Agent": "spillway"}, timeout=20, transport=transport
        )

    def _get(self, path: str, **query: str | int) -> Json:
        """One answer's body. Waits and tries again when throttled, and when Cloudflare itself stumbles."""
        for attempt in range(TRIES):
            try:
                answer = self._client.get(f"{BASE}{path}", params=query)
            except httpx.HTTPError as error:
                told = " ".join(str(error).split()) or type(error).__name__
                raise Unreachable(f"Cloudflare is out of reach: {told}; check network and proxy") from None
            if answer.status_code != 429 and answer.status_code < 500:
                return _body(answer)
            if attempt < TRIES - 1:
                wait = answer.headers.get("Retry-After", "")
                self._sleep(min(30.0, float(wait)) if wait.isdecimal() else _WAITS[attempt])
        what = "throttles" if answer.status_code == 429 else f"answers HTTP {answer.status_code}"
        raise Unanswered(f"Cloudflare {what} after {TRIES} tries", "run it again")

    def _ask(self, path: str, permission: str, **query: str | int) -> Json:
        try:
            return self._get(path, **query)
        except _Refused as error:
            raise _unanswered(error, permission) from None

    def _pages(self, path: str, permission: str, **query: str | int) -> Iterator[Json]:
        for page in range(1, MAX_PAGES + 1):
            body = self._ask(path, permission, page=page, per_page=PER_PAGE, **query)
            yield from body.get("result") or []
            info = body.get("result_info") or {}
            if page >= int(info.get("total_pages") or 1):
                return
        raise Unanswered(f"Cloudflare lists more than {MAX_PAGES * PER_PAGE:,} of {path}")

    @once
    def token(self) -> Token:
        # A token is a user's or an account's own, and each kind is verified at its own place.
        # https://developers.cloudflare.com/fundamentals/api/get-started/account-owned-tokens/
        try:
            found = self._get("/user/tokens/verify")
        except _Refused:
            try:
                found = self._get(f"/accounts/{self._account}/tokens/verify")
            except _Refused as error:
                raise Unreachable(f"Cloudflare: the token in {TOKEN} is not valid: {error.text}") from None
        with understood("Cloudflare"):
            result = found.get("result") or {}
            return Token(str(result.get("status", "")), _moment(result.get("expires_on")))

    @once
    def zone(self, id: str) -> DnsZone | None:
        try:
            found = self._get(f"/zones/{id}")
        except _Refused as error:
            if error.status in (400, 404):
                return None
            raise _unanswered(error, "Zone:Read") from None
        with understood("Cloudflare"):
            return _zone(found["result"])

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        with understood("Cloudflare"):
            return [_zone(item) for item in self._pages("/zones", "Zone:Read", name=name)]

    @once
    def records(self, zone: str, name: str) -> Sequence[str]:
        with understood("Cloudflare"):
            found = self._pages(f"/zones/{zone}/dns_records", "DNS:Read", name=name)
            return [str(item["type"]) for item in found if item.get("type") in ("A", "AAAA", "CNAME")]

    @once
    def load_balancing(self, zone: str | None) -> LoadBalancing:
        balancers: list[Json] = []
        try:
            with understood("Cloudflare"):
                if zone is not None:
                    balancers = list(self._get(f"/zones/{zone}/load_balancers").get("result") or [])
                pools = list(self._get(f"/accounts/{self._account}/load_balancers/pools").get("result") or [])
        except _Refused as error:
            if error.status != 401 and any(word in error.text.lower() for word in _NOT_ENABLED):
                return LoadBalancing(False)
            raise _unanswered(error, "Load Balancers:Read") from None
        used = bool(balancers or pools)
        with understood("Cloudflare"):
            return LoadBalancing(
                bought=used or self._subscribed(),
                balancers=tuple(str(item.get("name", "")) for item in balancers),
                pools=tuple((str(item.get("name", "")), len(item.get("origins") or [])) for item in pools),
            )

    def _subscribed(self) -> bool | None:
        """Whether a subscription for Load Balancing is listed; None when none is, or the token may not see them: an
        Enterprise contract is not listed there."""
        try:
            found = self._get(f"/accounts/{self._account}/subscriptions").get("result") or []
        except (_Refused, Unanswered):
            return None
        with understood("Cloudflare"):
            names = [str((item.get("rate_plan") or {}).get("id", "")).lower() for item in found]
        return True if any("load_balanc" in name for name in names) else None


def _body(answer: httpx.Response) -> Json:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        raise Unanswered(f"Cloudflare answers HTTP {answer.status_code} without JSON", "check the proxy") from None
    if not isinstance(body, dict):
        raise Unanswered(f"Cloudflare answers HTTP {answer.status_code} with no object", "check the proxy")
    if not body.get("success"):
        raise _Refused(answer.status_code, body.get("errors"))
    return body


def _unanswered(error: _Refused, permission: str) -> Exception:
    # 10000: authentication error, 9109: unauthorised for this resource.
    if error.status in (401, 403) or {10000, 9109}.intersection(error.codes):
        return Unanswered(f"denied: {permission}", f"give the token {permission}")
    return Unanswered(f"Cloudflare: {error.text}")


def _zone(item: Json) -> DnsZone:
    return DnsZone(
        id=str(item["id"]),
        name=str(item["name"]).lower(),
        name_servers=tuple(item.get("name_servers") or ()),
        status=str(item.get("status", "")),
        plan=str((item.get("plan") or {}).get("legacy_id", "")),
        account=str((item.get("account") or {}).get("id", "")),
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def connect(account: str, environment: Mapping[str, str] | None = None) -> CloudflareApi:
    """The account, with the environment's token. Raises Unreachable without one."""
    token = (os.environ if environment is None else environment).get(TOKEN, "").strip()
    if not token:
        raise Unreachable(f"Cloudflare: no credentials: set {TOKEN}, as `pulumi up` needs it too")
    if not _TOKEN.fullmatch(token):
        # It would be an illegal header, and the HTTP library's refusal quotes those: the token would be printed.
        raise Unreachable(f"Cloudflare: {TOKEN} holds spaces, line ends or other characters that no token has")
    return CloudflareApi(account, token)
