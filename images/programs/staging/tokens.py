"""A folder whose requests carry a bearer token, as Blob Storage and Cloud Storage want it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from images.programs.staging.web import StoreError, Transient, one_line

EARLY_SECONDS: Final = 300.0
"""A token is replaced this long before it ends: one part never takes longer."""
RENEW_SECONDS: Final = 10.0


class TokenSource:
    """See web.Source. url: of a file by its path. find: a token and its end in unix seconds; what it raises is told by
    the name of its kind only, since SDKs put answers into messages."""

    def __init__(
        self,
        where: str,
        url: Callable[[str], str],
        find: Callable[[], tuple[str, float]],
        fixed: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.where = where
        self._url, self._find, self._fixed = url, find, fixed
        self._lock = threading.Lock()
        self._token, self._until, self._found = "", 0.0, 0.0

    def request(self, path: str, extra: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        return self._url(path), {**self._fixed(), **extra, "Authorization": f"Bearer {self._known()}"}

    def renew(self) -> None:
        with self._lock:
            if time.monotonic() - self._found > RENEW_SECONDS:
                self._until = 0.0

    def inherit(self, other: TokenSource) -> None:
        """Begins with the token of another source of the same folder, which was opened before this process was forked:
        Azure answers 5 requests at a time, and a node has more processes than that.
        https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service#rate-limiting
        """
        self._token, self._until, self._found = other._token, other._until, other._found

    def _known(self) -> str:
        with self._lock:
            if self._until - time.time() < EARLY_SECONDS and time.monotonic() - self._found > (1 if self._until else 0):
                try:
                    self._token, self._until = self._find()
                except StoreError:
                    raise
                except Exception as error:  # of any SDK, with whatever text
                    kind = one_line(type(error).__name__)
                    raise Transient(f"{self.where}: no credentials from the metadata service ({kind})") from None
                self._found = time.monotonic()
            return self._token
