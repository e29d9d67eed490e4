"""One call's view of a stand-in cloud: what `kinds.Cloud` promises, over one store transaction and the weather."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.kinds import Args, CloudError, Kind, Ref, Registry, Resource
from sandbox.store import Transaction
from sandbox.values import UNKNOWN, select

if TYPE_CHECKING:
    from sandbox.weather import Weather

GLOBAL = "global"
"""The region of account-wide resources."""


class WeatherFile:
    """Reads the weather again whenever its file changed, so that a running deployment feels it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._weather: Weather | None = None

    def now(self) -> Weather | None:
        """The weather, None when there is no file. Raises weather.WeatherError for a faulty one."""
        try:
            stat = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._stamp, self._weather = None, None
            return None
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            from sandbox.weather import load  # pydantic costs start time; fair weather needs none

            self._weather = load(self.path)
            self._stamp = stamp
        return self._weather


class CallCloud:
    """See kinds.Cloud."""

    def __init__(
        self, registry: Registry, transaction: Transaction, region: str, account: str, weather: Weather | None
    ) -> None:
        self.registry = registry
        self.region = region
        self.account = account
        self._tx = transaction
        self._weather = weather

    def region_of(self, token: str, region: str | None = None) -> str:
        kind = self.registry.kinds.get(token)
        return GLOBAL if kind is not None and not kind.regional else region or self.region

    def get(self, token: str, id: str) -> Resource | None:
        return self._tx.get(self.registry.package, self.account, self.region_of(token), token, id)

    def all(self, token: str, *, region: str | None = None) -> list[Resource]:
        return [r for r in self._tx.all(self.registry.package, token, region) if r.account == self.account]

    def find(self, token: str, **outputs: Any) -> list[Resource]:
        return [
            r
            for r in self.all(token, region=self.region_of(token))
            if all((r.id if k == "id" else r.outputs.get(k)) == v for k, v in outputs.items())
        ]

    def put(self, resource: Resource) -> None:
        self._tx.put(self.registry.package, resource)

    def remove(self, token: str, id: str) -> None:
        self._tx.remove(self.registry.package, self.account, self.region_of(token), token, id)

    def quota(self, name: str, default: float, *, region: str | None = None) -> float:
        if self._weather is None:
            return default
        return self._weather.quota(self.registry.package, region or self.region, name, default)

    def sold_out(self, zone: str, machine_type: str, market: str) -> bool:
        return self._weather is not None and self._weather.is_sold_out(
            self.registry.package, zone, machine_type, market
        )

    def sequence(self, name: str) -> int:
        return self._tx.next(f"{self.registry.package}:{name}")

    # What the core checks for every kind, from its declarations.

    def check_references(self, kind: Kind, args: Args) -> None:
        """Raises CloudError for the first reference that names nothing, or something in another region."""
        for ref in kind.references:
            for path, value in args.at(ref.path):
                if not isinstance(value, str) or value == "" or (ref.accept is not None and ref.accept(value)):
                    continue
                found = [
                    r for token in ref.tokens for r in self._tx.by_output(self.registry.package, token, ref.by, value)
                ]
                own = [r for r in found if r.account == self.account]
                wanted = " or ".join(token.rsplit(":", 1)[-1] for token in ref.tokens)
                if not own:
                    raise CloudError(ref.code, f"{path}: the {wanted} '{value}' does not exist")
                if ref.same_region and all(r.region not in (self.region, GLOBAL) for r in own):
                    raise CloudError(
                        ref.code,
                        f"{path}: the {wanted} '{value}' is in {own[0].region}, this resource in {self.region}",
                    )

    def check_unique(self, kind: Kind, args: Args, ignore: Resource | None = None) -> None:
        """Raises CloudError when the kind's unique properties are taken within their scope."""
        if not kind.unique or any(args[key] is None for key in kind.unique):
            return
        region = None if kind.unique_scope in ("account", "global") else self.region_of(kind.token)
        wanted = {key: args[key] for key in kind.unique}
        for other in self._tx.all(self.registry.package, kind.token, region):
            if kind.unique_scope != "global" and other.account != self.account:
                continue
            if ignore is not None and (other.id, other.region) == (ignore.id, ignore.region):
                continue
            if all(other.outputs.get(key) == value for key, value in wanted.items()):
                named = ", ".join(f"{key} '{value}'" for key, value in wanted.items())
                raise CloudError(kind.duplicate_code, f"{kind.token.rsplit(':', 1)[-1]} with {named} already exists")

    def check_unused(self, resource: Resource) -> None:
        """Raises CloudError when another resource still refers to this one by a reference that blocks deletion."""
        present = self._tx.tokens(self.registry.package)
        for token, kind in self.registry.kinds.items():
            if token not in present:
                continue
            for ref in kind.references:
                if ref.blocks_delete and resource.token in ref.tokens:
                    self._refuse_if_used(resource, token, ref)

    def _refuse_if_used(self, resource: Resource, token: str, ref: Ref) -> None:
        value = resource.id if ref.by == "id" else resource.outputs.get(ref.by)
        for user in self._tx.all(self.registry.package, token):
            if user.account != self.account or (user.id, user.token) == (resource.id, resource.token):
                continue
            if ref.same_region and GLOBAL not in (user.region, resource.region) and user.region != resource.region:
                continue
            if any(v == value for _, v in select(user.inputs, ref.path) if v is not UNKNOWN):
                what, by = resource.token.rsplit(":", 1)[-1], token.rsplit(":", 1)[-1]
                raise CloudError(
                    ref.delete_code, f"{what} '{resource.id}' is in use by {by} '{user.id}' and cannot be deleted"
                )
