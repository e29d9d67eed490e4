"""Calls to Azure Resource Manager through an SDK's own pipeline, and what an error means to whoever asked.

Credentials, retries and throttling are the SDK's; what it has no operation for is asked with `send_request`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from spillway.preflight.model import Asker, OutOfReach, Unanswered, Unreachable, understood

Json = Mapping[str, Any]
ARM: Final = "https://management.azure.com"
INSTALL: Final = "uv sync --extra azure, or pip install 'spillway[azure]'"
MAX_PAGES: Final = 100
# Several stacks at once and throttling subscriptions: a few tries, and no minutes between them.
RETRIES: Final[Mapping[str, Any]] = {
    "retry_total": 4,
    "retry_backoff_max": 10,
    "connection_timeout": 5,
    "read_timeout": 30,
}


class ArmAsker(Asker):
    """One subscription, asked with a client of any SDK for Azure Resource Manager."""

    def __init__(self, subscription: str, client: Any) -> None:
        super().__init__()
        self._subscription, self._client = subscription, client

    def _get(self, path: str, version: str) -> Json | None:
        """The body of an ARM resource; None when it is not there."""
        url = path if path.startswith("https://") else f"{ARM}{path}?api-version={version}"
        return self._sent("GET", url, f"GET {path}")

    def _post(self, path: str, version: str, body: Json, action: str, role: str = "Reader", **options: Any) -> Json:
        """The answer to a question that is asked with POST. action: the right that it needs, of which role."""
        found = self._sent("POST", f"{ARM}{path}?api-version={version}", action, role, json=body, **options)
        if found is None:
            raise Unanswered(f"Azure does not know {path.rsplit('/providers/', 1)[-1]}")
        return found

    def _sent(
        self, method: str, url: str, action: str, role: str = "Reader", json: Json | None = None, **options: Any
    ) -> Json | None:
        from azure.core.rest import HttpRequest

        with answered(action, role):
            answer = self._client.send_request(HttpRequest(method, url, json=json), **options)
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
        with understood("Azure"):
            body = answer.json()
            if not isinstance(body, dict):
                raise TypeError("no object")
            return body

    def _all(self, path: str, version: str) -> Iterator[Json]:
        following = path
        for _ in range(MAX_PAGES):
            body = self._get(following, version) or {}
            yield from body.get("value") or []
            if not (further := body.get("nextLink")):
                return
            following = str(further)
        raise Unanswered(f"Azure lists more than {MAX_PAGES} pages of {path}")


@contextmanager
def answered(action: str, role: str = "Reader") -> Iterator[None]:
    """Turns the SDK's errors into Unanswered and Unreachable."""
    from azure.core import exceptions

    try:
        yield
    except exceptions.ClientAuthenticationError as error:
        raise Unreachable(f"Azure: {one_line(error)}; log in: `az login`") from None
    except exceptions.HttpResponseError as error:
        code = str(getattr(error.error, "code", "") or "")
        if error.status_code == 401:  # an expired or foreign token: the credential handed out what Azure does not take
            raise Unreachable(f"Azure: {one_line(error)}; log in: `az login`") from None
        if error.status_code == 403 or code == "AuthorizationFailed":
            raise Unanswered(f"denied: {action}", f"allow {action} (role {role}) to whoever runs preflight") from None
        if error.status_code == 429:
            raise Unanswered("Azure throttles after several tries", "run it again") from None
        raise Unanswered(f"Azure: {one_line(error)}") from None
    except (exceptions.ServiceRequestError, exceptions.ServiceResponseError) as error:
        raise OutOfReach(f"Azure is out of reach: {one_line(error)}", "check network and proxy") from None


def one_line(error: Exception) -> str:
    """The first line of an SDK's error."""
    told = str(getattr(error, "message", "") or error)
    # A credential chain tells a paragraph for each of its ways; the first sentence says that none worked.
    return " ".join(told.split("\n")[0].split()).rstrip(".")


def hush() -> None:
    """It logs a paragraph for each way to log in that did not work; the first line of its error says enough."""
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
