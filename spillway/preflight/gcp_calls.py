"""Calls to Google Cloud, through its SDKs and, where they have no operation, the same credentials' own session; and
what an error means to whoever asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from spillway.preflight.model import Asker, OutOfReach, Unanswered, Unreachable, understood

Json = Mapping[str, Any]
INSTALL: Final = "uv sync --extra gcp, or pip install 'spillway[gcp]'"
LOGIN: Final = "run `gcloud auth application-default login`"
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT: Final = 30.0
"""Seconds of one call."""
# Limits of how often are 403 in Compute Engine: https://docs.cloud.google.com/compute/api-quota
_LIMITED: Final = frozenset(("rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"))
_DISABLED: Final = frozenset(("SERVICE_DISABLED", "accessNotConfigured"))
PATIENCE = 12.0
"""Seconds in which what a busy or throttling API refused is tried again."""


class NotEnabled(Unanswered):
    """An API that is not turned on in the project."""


@contextmanager
def answered(service: str, right: str, project: str) -> Iterator[None]:
    """Turns the SDKs' errors into Unanswered and Unreachable. service: the API, such as compute.googleapis.com; right:
    the permission that was needed."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError
    from requests import RequestException

    try:
        yield
    except exceptions.Unauthorized as error:
        raise Unreachable(f"Google Cloud: {one_line(error.message)}; {LOGIN}") from None
    except exceptions.GoogleAPICallError as error:
        raise _meaning(error, service, right, project) from None
    except exceptions.RetryError as error:
        if isinstance(error.cause, exceptions.GoogleAPICallError):
            raise _meaning(error.cause, service, right, project) from None
        raise OutOfReach(f"{service} is out of reach: {one_line(error)}", "check network and proxy") from None
    except (TransportError, RequestException) as error:
        raise OutOfReach(f"{service} is out of reach: {one_line(error)}", "check network and proxy") from None
    except GoogleAuthError as error:
        raise Unreachable(f"Google Cloud: {one_line(error)}; {LOGIN}") from None
    except exceptions.GoogleAPIError as error:
        raise Unanswered(f"{service}: {one_line(error)}") from None


def _meaning(error: Any, service: str, right: str, project: str) -> Unanswered:
    reasons = {str(item.get("reason")) for item in error.errors if isinstance(item, Mapping)} | {str(error.reason)}
    if reasons & _DISABLED or "it is disabled" in str(error.message):
        return NotEnabled(f"{service} is not enabled", f"gcloud services enable --project {project} {service}")
    if error.code == 429 or reasons & _LIMITED:
        return Unanswered(f"{service} throttles", "run it again")
    if error.code == 403:
        named = re.search(r"(?:Required|lacks|Permission) '([a-zA-Z.]+)'", str(error.message))
        right = named[1] if named else right
        return Unanswered(f"denied: {right}", f"allow {right} to whoever runs preflight")
    return Unanswered(f"{service}: {one_line(error.message)}")


def one_line(error: object) -> str:
    """Any error's text on one line."""
    return " ".join(str(error).split())


def retried() -> Any:
    """What is tried again for a short while."""
    from google.api_core.exceptions import InternalServerError, ServiceUnavailable, TooManyRequests
    from google.api_core.retry import Retry, if_exception_type

    return Retry(
        if_exception_type(InternalServerError, ServiceUnavailable, TooManyRequests),
        initial=0.5,
        maximum=4,
        timeout=PATIENCE,
    )


class RestAsker(Asker):
    """Asks APIs that no installed SDK covers. session: an AuthorizedSession."""

    def __init__(self, project: str, session: Any) -> None:
        super().__init__()
        self._project, self._session = project, session

    def _json(self, method: str, url: str, right: str, **more: Any) -> Json | None:
        """The body of an answer; None when there is nothing at this address."""
        from google.api_core.exceptions import NotFound, from_http_response

        service = url.removeprefix("https://").partition("/")[0]

        def once() -> Any:
            answer = self._session.request(method, url, timeout=TIMEOUT, **more)
            if answer.status_code >= 400:
                raise from_http_response(answer)  # type: ignore[no-untyped-call]
            return answer

        with answered(service, right, self._project):
            try:
                answer = retried()(once)()
            except NotFound:
                return None
        with understood(service):
            body = answer.json()
            if not isinstance(body, dict):
                raise TypeError("no object")
            return body
