"""A JSON API over HTTP as CI servers have it: pages, limits that ask to wait, lost answers, refusals in plain words.

What may be sent twice is sent again after a fault; what creates something is not, since nobody knows whether the answer
or the request was lost: `Lost` leaves that to who can look.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from spillway.errors import SpillwayError

TRIES: Final = 5
PATIENCE: Final = 900.0
"""Seconds that all waits of a command may take together: a limit that lasts longer is told instead of sat out."""
SECONDARY: Final = 60.0
"""Seconds to wait at least for a limit that does not say how long
(https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit)."""
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
PAGES: Final = 200
"""Pages of 100: more is an API that leads in circles."""


class Lost(SpillwayError):
    """Something was to be created, and the answer never came."""


class Refused(SpillwayError):
    """An answer that is no success. status: of HTTP."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class Api:
    """One service. name: for people; base: its address, without a slash at the end; rights: what its token needs."""

    def __init__(
        self,
        name: str,
        base: str,
        headers: Mapping[str, str],
        rights: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.rights, self._base = name, rights, base.rstrip("/")
        self._sleep, self._now, self._left = sleep, now, PATIENCE
        try:
            # Redirects answer requests for a repository that was renamed; the login stays with its host.
            self._client = httpx.Client(
                headers=dict(headers), timeout=TIMEOUT, transport=transport, follow_redirects=True
            )
        except (ValueError, UnicodeError):
            raise SpillwayError(f"{name}: the token has a character that no token has; set it anew") from None

    def get(self, path: str, **query: Any) -> Any:
        return _json(self._call("GET", path, query=query), self.name)

    def send(self, method: str, path: str, body: Mapping[str, Any], **query: Any) -> Any:
        """POST, PATCH, PUT. Raises Lost for a POST whose answer never came."""
        return _json(self._call(method, path, body=body, query=query), self.name)

    def delete(self, path: str) -> None:
        """What is gone already is as good."""
        try:
            self._call("DELETE", path)
        except Refused as refused:
            if refused.status not in (404, 410):
                raise

    def pages(self, path: str, key: str | None = None, **query: Any) -> Iterator[Any]:
        """Every element of a list, page by page, as the Link header leads
        (https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api,
        https://docs.gitlab.com/api/rest/#pagination-link-header). key: of the list, where the answer is a map."""
        url: str | None = path
        asked: dict[str, Any] = {"per_page": 100, **query}
        for _ in range(PAGES):
            if url is None:
                return
            answer = self._call("GET", url, query=asked)
            found = _json(answer, self.name)
            if key is not None and isinstance(found, dict):
                found = found.get(key)
            if not isinstance(found, list):
                raise SpillwayError(f"{self.name}: GET {path}: the answer is no list")
            yield from found
            url, asked = self._next(answer), {}
        raise SpillwayError(f"{self.name}: GET {path}: more than {PAGES} pages")

    def _next(self, answer: httpx.Response) -> str | None:
        url = answer.links.get("next", {}).get("url")
        if url is None:
            return None
        here, there = urlsplit(self._base), urlsplit(url)
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):  # the token goes nowhere else
            raise SpillwayError(f"{self.name}: the next page is at {there.hostname}, another host than {here.hostname}")
        return url

    def _call(
        self, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        url = path if "://" in path else f"{self._base}{path}"
        shown = urlsplit(url).path
        once = method == "POST"
        for attempt in range(1, TRIES + 1):
            last = attempt == TRIES
            try:
                answer = self._client.request(method, url, json=body, params=dict(query) if query else None)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent
                if last:
                    raise SpillwayError(f"{self.name}: cannot be reached: {_words(error)}") from None
                self._wait(2.0 ** (attempt - 1), shown)
                continue
            except httpx.HTTPError as error:
                if once:
                    raise Lost(f"{self.name}: {method} {shown}: no answer: {_words(error)}") from None
                if last:
                    raise SpillwayError(f"{self.name}: {method} {shown}: no answer: {_words(error)}") from None
                self._wait(2.0 ** (attempt - 1), shown)
                continue
            except httpx.InvalidURL as error:
                raise SpillwayError(f"{self.name}: {self._base}: is no address: {error}") from None
            if answer.is_success:
                return answer
            pause = self._limited(answer, attempt)
            if pause is not None and not last:
                self._wait(pause, shown)
                continue
            if answer.status_code >= 500:
                if once and answer.status_code != 503:  # 503: was not taken on
                    raise Lost(f"{self.name}: {method} {shown}: answers {answer.status_code}")
                if not last:
                    self._wait(2.0 ** (attempt - 1), shown)
                    continue
            raise self._refusal(method, shown, answer)
        raise AssertionError("the last attempt returns or raises")

    def _limited(self, answer: httpx.Response, attempt: int) -> float | None:
        """Seconds to wait where the answer is a limit; None for every other refusal."""
        if answer.status_code not in (403, 429, 503):
            return None
        told = self._after(answer.headers.get("retry-after", ""))
        if told is not None or answer.status_code == 503:
            return told
        if answer.headers.get("x-ratelimit-remaining", answer.headers.get("ratelimit-remaining")) == "0":
            until = answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset") or ""
            return max(1.0, float(until) - self._now()) if until.isascii() and until.isdigit() else SECONDARY
        if answer.status_code == 429 or "rate limit" in answer.text[:2000].lower():
            return SECONDARY * 2.0 ** (attempt - 1)
        return None

    def _after(self, text: str) -> float | None:
        """Of Retry-After: seconds, or a date (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)."""
        if text.isdigit() and text.isascii():
            return float(text[:9])
        try:
            return max(1.0, parsedate_to_datetime(text).timestamp() - self._now())
        except ValueError:
            return None

    def _wait(self, seconds: float, shown: str) -> None:
        if seconds > self._left:
            raise SpillwayError(
                f"{self.name}: {shown}: asks to wait {seconds:.0f} s, {self._left:.0f} s are left of the patience of "
                f"{PATIENCE:.0f} s; run again later"
            )
        self._left -= seconds
        self._sleep(seconds)

    def _refusal(self, method: str, shown: str, answer: httpx.Response) -> Refused:
        status, told = answer.status_code, _message(answer)
        line = f"{self.name}: {method} {shown}: answers {status}"
        line += f": {told}" if told else ""
        if status == 401:
            line += "; the token is none, or has expired"
        elif status in (403, 404):
            line += f"; the token needs {self.rights}"
        return Refused(status, line)


def _json(answer: httpx.Response, name: str) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:  # a sign-in page, a proxy's page
        kind = answer.headers.get("content-type", "no content type")
        raise SpillwayError(f"{name}: {answer.url.path}: the answer is no JSON but {kind}") from None


def _message(answer: httpx.Response) -> str:
    """The service's own words, of any form that these three have."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    told = found.get("message") or found.get("error") if isinstance(found, dict) else None
    return "" if told is None else " ".join(str(told).split())[:300].rstrip(".")


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
