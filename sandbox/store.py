"""The stand-in clouds' memory: one SQLite file in the sandbox directory.

SQLite in WAL mode gives what is asked of it: parallel calls of one plugin and several plugin processes at once, and
nothing half-written when one of them is killed (https://www.sqlite.org/wal.html). Every provider call is one
transaction.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.kinds import Resource
from spillway.errors import SpillwayError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    cloud TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, token TEXT NOT NULL, id TEXT NOT NULL,
    urn TEXT NOT NULL, inputs TEXT NOT NULL, outputs TEXT NOT NULL, secrets TEXT NOT NULL, created_at TEXT NOT NULL,
    UNIQUE (cloud, account, region, token, id)
);
CREATE INDEX IF NOT EXISTS resources_by_token ON resources (token, region);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""
_COLUMNS = "token, id, region, account, inputs, outputs, created_at, urn, secrets"


CLOUDS = "clouds.sqlite3"
STRIKES = "weather.sqlite3"
"""How often each fault of the weather struck: apart, as a call that fails is rolled back and its strike is not."""


class Store:
    """The file; one connection per thread."""

    def __init__(self, directory: Path, name: str = CLOUDS) -> None:
        self.directory = directory
        self.path = directory / name
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self.directory.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            # Changing to WAL does not wait for others who are doing the same, whatever the timeout: one at a time.
            with self.path.with_name(f"{self.path.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                connection.execute("PRAGMA journal_mode = WAL")
                # A killed process loses nothing with NORMAL in WAL mode; only a power cut may drop the last commits.
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
            self._local.connection = connection
        return connection

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """One transaction; it is rolled back when the block raises. Writers wait for each other up to a minute.

        Raises SpillwayError when the file is not what it should be, locked for longer, or cannot be written.
        """
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield Transaction(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            hint = "" if isinstance(error, sqlite3.OperationalError) else "; `spillway sandbox reset` starts anew"
            raise SpillwayError(f"{self.path}: {error}{hint}") from error


class Transaction:
    """Reads and writes of one provider call."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def get(self, cloud: str, account: str, region: str, token: str, id: str) -> Resource | None:
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources WHERE cloud=? AND account=? AND region=? AND token=? AND id=?",
            (cloud, account, region, token, id),
        ).fetchone()
        return _resource(row) if row else None

    def all(self, cloud: str, token: str | None = None, region: str | None = None) -> list[Resource]:
        """Resources of a cloud, oldest first; of one type and region when given."""
        where, values = ["cloud=?"], [cloud]
        if token is not None:
            where.append("token=?")
            values.append(token)
        if region is not None:
            where.append("region=?")
            values.append(region)
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM resources WHERE {' AND '.join(where)} ORDER BY seq", values)
        return [_resource(row) for row in rows]

    def by_output(self, cloud: str, token: str, property: str, value: str) -> list[Resource]:
        """Resources of a type whose top-level output `property` equals `value` ("id" is the resource's own id)."""
        condition = "id=?" if property == "id" else f"json_extract(outputs, '$.{property}')=?"
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources WHERE cloud=? AND token=? AND {condition} ORDER BY seq",
            (cloud, token, value),
        )
        return [_resource(row) for row in rows]

    def tokens(self, cloud: str) -> set[str]:
        """The types of which at least one resource exists."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT token FROM resources WHERE cloud=?", (cloud,))}

    def put(self, cloud: str, resource: Resource) -> None:
        """Insert or overwrite."""
        created = resource.created_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        resource.created_at = created
        self._db.execute(
            f"INSERT INTO resources (cloud, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?) "
            "ON CONFLICT (cloud, account, region, token, id) DO UPDATE SET "
            "inputs=excluded.inputs, outputs=excluded.outputs, urn=excluded.urn, secrets=excluded.secrets",
            (
                cloud,
                resource.token,
                resource.id,
                resource.region,
                resource.account,
                json.dumps(resource.inputs),
                json.dumps(resource.outputs),
                created,
                resource.urn,
                json.dumps(sorted(resource.secrets)),
            ),
        )

    def remove(self, cloud: str, account: str, region: str, token: str, id: str) -> None:
        self._db.execute(
            "DELETE FROM resources WHERE cloud=? AND account=? AND region=? AND token=? AND id=?",
            (cloud, account, region, token, id),
        )

    def next(self, name: str) -> int:
        """The next number of a named counter, from 0."""
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
            (name,),
        ).fetchone()
        return int(row[0])

    def count(self, name: str) -> int:
        """How often `next` was called for a counter."""
        row = self._db.execute("SELECT value FROM counters WHERE name=?", (name,)).fetchone()
        return int(row[0]) + 1 if row else 0


def _resource(row: tuple[Any, ...]) -> Resource:
    token, id, region, account, inputs, outputs, created_at, urn, secrets = row
    return Resource(
        token,
        id,
        region,
        account,
        json.loads(inputs),
        json.loads(outputs),
        created_at,
        urn,
        frozenset(json.loads(secrets)),
    )
