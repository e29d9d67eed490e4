"""The logic of a stand-in provider, free of gRPC: check, diff, create, read, update, delete, invoke on plain values."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sandbox import differ
from sandbox.checker import Checker
from sandbox.cloud import CallCloud, WeatherFile
from sandbox.clouds import WEATHER
from sandbox.kinds import Args, CloudError, Fault, Kind, Registry, Resource
from sandbox.schema import Node
from sandbox.store import STRIKES, Store
from sandbox.values import UNKNOWN, has_unknown

RETRIES = 10
"""Attempts of a throttled call before the provider gives up (the AWS SDK's default is 3, the provider's 25)."""


class LostAnswer(Exception):
    """The call was carried out, and its answer does not arrive."""


@dataclass(slots=True)
class Config:
    """The provider's configuration as far as the stand-in looks at it."""

    region: str = ""
    account: str = ""
    default_tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class DiffResult:
    """Paths that differ, which of them replace, and whether the old one must go first."""

    changes: dict[str, differ.Change]
    replaces: list[str]
    delete_before_replace: bool


class Provider:
    """One plugin process: a registry of kinds, its schema, the store and the weather."""

    def __init__(self, registry: Registry, document: Mapping[str, Any], directory: Path) -> None:
        self.registry = registry
        self.document = document
        self.checker = Checker(document["objects"])
        self.store = Store(directory)
        self.strike_counts = Store(directory, STRIKES)
        self.weather = WeatherFile(directory / WEATHER)
        self.config = Config(account=registry.account({}))

    def kind(self, token: str) -> Kind:
        """Raises CloudError for a type that the sandbox does not cover."""
        kind = self.registry.kinds.get(token)
        if kind is None:
            raise CloudError(
                "NotCovered",
                f"the sandbox does not cover the type {token}; `spillway sandbox types` lists those it does",
            )
        return kind

    # Configuration

    def configure(self, variables: Mapping[str, Any]) -> None:
        """Take over the provider's settings; nested ones arrive as JSON text and are decoded by the caller."""
        tags = (variables.get("defaultTags") or {}).get("tags") or {}
        self.config = Config(str(variables.get("region") or ""), self.registry.account(variables), dict(tags))

    # Check and diff

    def check(
        self, token: str, news: dict[str, Any], olds: Mapping[str, Any], urn: str, seed: bytes
    ) -> tuple[dict[str, Any], list[Fault]]:
        """Inputs with the automatic name filled in, and everything wrong with them."""
        kind = self.kind(token)
        spec = self.document["resources"][token]
        if kind.autoname is not None and not _is_named(kind.autoname.property, news):
            news = {**news, kind.autoname.property: self._autoname(kind, olds, urn, seed)}
        faults = list(self.checker.inputs(news, spec["inputs"], spec["required"]))
        if not faults:  # value rules may rely on the shapes
            faults = list(kind.check(Args(news)))
            if kind.regional and not self._region(news):
                faults.append(Fault("region", "is required: neither the resource nor the provider names a region"))
        return news, faults

    @staticmethod
    def _autoname(kind: Kind, olds: Mapping[str, Any], urn: str, seed: bytes) -> Any:
        auto = kind.autoname
        assert auto is not None
        if olds.get(auto.property) is not None:
            return olds[auto.property]
        name = urn.rsplit("::", 1)[-1]
        if auto.lower:
            name = re.sub(r"[^a-z0-9-]", "-", name.lower())
        if auto.digits == 0:
            return name
        suffix = auto.separator + "".join(random.Random(seed or None).choices("0123456789abcdef", k=auto.digits))
        return f"{name[: auto.max_length - len(suffix)]}{suffix}"

    def diff(
        self, token: str, old_inputs: Mapping[str, Any], olds: Mapping[str, Any], news: Mapping[str, Any]
    ) -> DiffResult:
        """The difference of the inputs, with the region's own rule: moving a resource replaces it."""
        kind = self.kind(token)
        changes = differ.changes(
            kind.comparable(old_inputs), kind.comparable(news), sets=kind.sets, documents=kind.json_properties
        )
        for path in list(changes):
            if self._is_default(kind, path, olds, news):
                del changes[path]
        patterns = kind.replace_on
        if kind.regional:
            changes.pop("region", None)
            if olds.get("region") and self._region(news) not in (olds["region"], ""):
                changes["region"] = "update"
            patterns = (*patterns, "region")
        patterns = (*patterns, *kind.replace_when(Args(old_inputs), Args(news)))
        return DiffResult(changes, differ.replacing(changes, patterns), kind.delete_before_replace)

    @staticmethod
    def _is_default(kind: Kind, path: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
        """Writing down, or leaving away, what is the default anyway is no change."""
        if path not in kind.defaults:
            return False
        default = kind.defaults[path]
        return bool(news.get(path, default) == olds.get(path, default))

    # Life of a resource

    def create(
        self, token: str, inputs: dict[str, Any], secrets: frozenset[str], urn: str, preview: bool
    ) -> tuple[str, dict[str, Any]]:
        """(id, outputs). In a preview the id is empty and only what is certain is returned."""
        kind = self.kind(token)
        if preview:
            return "", self._known_outputs(kind, inputs)  # computed ones are left out: unknown
        with self._call("create", token, urn.rsplit("::", 1)[-1]) as call, self.store.transaction(write=True) as tx:
            cloud = self._cloud(tx, inputs)
            args = Args(self._with_defaults(kind, inputs))
            try:
                call.before()
                cloud.check_references(kind, args)
                cloud.check_unique(kind, args)
                kind.before_create(args, cloud)
            except CloudError as error:
                raise self._told("creating", kind, urn, error) from None
            id = kind.new_id(args, cloud)
            resource = Resource(
                token, id, cloud.region_of(token), self.config.account, inputs, {}, urn=urn, secrets=secrets
            )
            resource.outputs = self._outputs(kind, id, args, cloud, None)
            cloud.put(resource)
            try:
                kind.after_create(resource, cloud)
            except CloudError as error:
                raise self._told("creating", kind, urn, error) from None
            stored = cloud.get(token, id)
            outputs = stored.outputs if stored else resource.outputs
        call.after()
        return id, outputs

    def read(self, token: str, id: str, inputs: Mapping[str, Any]) -> Resource | None:
        """What exists under the id, with the inputs as they are in the cloud now; None when it is gone."""
        kind = self.kind(token)
        with self._call("read", token, id) as call, self.store.transaction(write=False) as tx:
            call.before()
            cloud = self._cloud(tx, inputs)
            resource = cloud.get(token, id)
            if resource is not None:
                now = kind.import_inputs(resource)
                for key in kind.write_only:
                    if key in inputs:
                        now[key] = inputs[key]
                resource.inputs = now
        return resource

    def update(
        self,
        token: str,
        id: str,
        old_state: Mapping[str, Any],
        news: dict[str, Any],
        secrets: frozenset[str],
        urn: str,
        preview: bool,
    ) -> dict[str, Any]:
        """The outputs after the update; in a preview, what is certain of them."""
        kind = self.kind(token)
        if preview:
            return self._planned_update(kind, id, old_state, news)
        with self._call("update", token, urn.rsplit("::", 1)[-1]) as call, self.store.transaction(write=True) as tx:
            cloud = self._cloud(tx, news)
            args = Args(self._with_defaults(kind, news))
            old = cloud.get(token, id)
            try:
                call.before()
                if old is None:
                    raise CloudError(kind.not_found_code, f"'{id}' does not exist")
                cloud.check_references(kind, args)
                cloud.check_unique(kind, args, ignore=old)
                kind.before_update(old, args, cloud)
            except CloudError as error:
                raise self._told("updating", kind, urn, error) from None
            outputs = self._outputs(kind, id, args, cloud, old)
            new = Resource(token, id, old.region, old.account, news, outputs, old.created_at, urn, secrets)
            cloud.put(new)
            kind.after_create(new, cloud)
            stored = cloud.get(token, id)
            outputs = stored.outputs if stored else outputs
        call.after()
        return outputs

    def delete(self, token: str, id: str, inputs: Mapping[str, Any], urn: str) -> None:
        """Deleting what is gone already succeeds, as it does in the real provider."""
        kind = self.kind(token)
        with self._call("delete", token, urn.rsplit("::", 1)[-1]) as call, self.store.transaction(write=True) as tx:
            cloud = self._cloud(tx, inputs)
            try:
                call.before()
                resource = cloud.get(token, id)
                if resource is None:
                    return
                kind.before_delete(resource, cloud)
                cloud.check_unused(resource)
            except CloudError as error:
                raise self._told("deleting", kind, urn, error) from None
            cloud.remove(token, id)
            kind.after_delete(resource, cloud)
        call.after()

    def invoke(self, token: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """The result of a data source, or what is wrong with its arguments."""
        function = self.registry.invokes.get(token)
        if function is None:
            raise CloudError("NotCovered", f"the sandbox does not cover the data source {token}")
        spec = self.document["invokes"][token]
        faults = list(self.checker.inputs(inputs, spec["inputs"], spec["required"]))
        if faults or has_unknown(inputs):
            return {}, faults
        with self._call("invoke", token, "") as call, self.store.transaction(write=False) as tx:
            call.before()
            result = function(Args(inputs), self._cloud(tx, inputs))
        return _filled(result, spec["outputs"]), []

    # Inner parts

    def _region(self, inputs: Mapping[str, Any]) -> str:
        region = inputs.get("region")
        return region if isinstance(region, str) else self.config.region

    def _cloud(self, tx: Any, inputs: Mapping[str, Any]) -> CallCloud:
        return CallCloud(self.registry, tx, self._region(inputs), self.config.account, self.weather.now())

    def _with_defaults(self, kind: Kind, inputs: Mapping[str, Any]) -> dict[str, Any]:
        values = {key: value for key, value in kind.defaults.items() if inputs.get(key) is None}
        values.update({key: value for key, value in inputs.items() if value is not None})
        if kind.regional:
            values["region"] = self._region(inputs)
        return values

    def _known_outputs(self, kind: Kind, inputs: Mapping[str, Any]) -> dict[str, Any]:
        spec = self.document["resources"][kind.token]["outputs"]
        values = {key: value for key, value in self._with_defaults(kind, inputs).items() if key in spec}
        values.update({key: UNKNOWN for key in kind.reshaped if values.get(key)})
        if kind.taggable and "tagsAll" in spec:
            tags = inputs.get("tags")
            values["tagsAll"] = UNKNOWN if tags is UNKNOWN else {**self.config.default_tags, **(tags or {})}
        return values

    def _outputs(self, kind: Kind, id: str, args: Args, cloud: CallCloud, old: Resource | None) -> dict[str, Any]:
        spec = self.document["resources"][kind.token]["outputs"]
        values = self._known_outputs(kind, args.values)
        values.update(kind.outputs(id, args, cloud, old))
        return _filled(values, {key: node for key, node in spec.items() if key not in kind.nullable})

    def _planned_update(
        self, kind: Kind, id: str, old_state: Mapping[str, Any], news: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A preview of an update: what the update will return where that is certain, the old value where it stays."""
        spec = self.document["resources"][kind.token]["outputs"]
        values = {key: value for key, value in old_state.items() if key in spec}
        values.update(self._known_outputs(kind, news))
        if not has_unknown(dict(news)):
            with self.store.transaction(write=False) as tx:
                cloud = self._cloud(tx, news)
                old = cloud.get(kind.token, id)
                if old is not None:
                    values.update(kind.outputs(id, Args(self._with_defaults(kind, news)), cloud, old))
        for key in kind.changes_on_update:
            values[key] = UNKNOWN
        return values

    def _told(self, doing: str, kind: Kind, urn: str, error: CloudError) -> CloudError:
        name = urn.rsplit("::", 1)[-1]
        package, module, type_name = kind.token.split(":")
        what = f"{package} {module.split('/')[0]} {type_name}"
        told = CloudError(error.code, error.message)
        told.args = (f"{doing} {what} ({name}): api error {error.code}: {error.message}",)
        return told

    def _call(self, operation: str, token: str, name: str) -> _Call:
        return _Call(self, operation, token, name)


class _Call:
    """The weather around one API call."""

    def __init__(self, provider: Provider, operation: str, token: str, name: str) -> None:
        weather = provider.weather.now()
        package = provider.registry.package
        self._faults = weather.faults_for(package, operation, token, name) if weather else []
        self._strike_counts = provider.strike_counts
        self._what = token

    def __enter__(self) -> _Call:
        for key, fault in self._faults:
            if fault.kind == "slow" and self._strikes(key, fault.times):
                time.sleep(fault.seconds)
            elif fault.kind == "throttle":
                attempts = 0
                while self._strikes(key, fault.times):
                    attempts += 1
                    if attempts == RETRIES:
                        raise CloudError(
                            "Throttling", f"{self._what}: Rate exceeded: exceeded maximum number of attempts, {RETRIES}"
                        )
                    time.sleep(0.02 * attempts)
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        return False

    def before(self) -> None:
        """Raises CloudError when the weather makes the call fail."""
        for key, fault in self._faults:
            if fault.kind == "fail" and self._strikes(key, fault.times):
                code, _, message = fault.message.partition(": ")
                raise CloudError(code, message or code)

    def after(self) -> None:
        """After a call that was carried out. Raises LostAnswer when the weather swallows its answer."""
        for key, fault in self._faults:
            if fault.kind == "slow-answer" and self._strikes(key, fault.times):
                time.sleep(fault.seconds)
            if fault.kind == "lose-answer" and self._strikes(key, fault.times):
                raise LostAnswer(f"connection reset by peer: the answer of {self._what} was lost")

    def _strikes(self, key: str, times: int | None) -> bool:
        if times is None:
            return True
        with self._strike_counts.transaction(write=True) as tx:
            if tx.count(f"fault:{key}") >= times:
                return False
            tx.next(f"fault:{key}")
            return True


def _is_named(property: str, inputs: Mapping[str, Any]) -> bool:
    """Whether the program chose a name, whole or by its beginning: `name` or `namePrefix`."""
    return inputs.get(property) is not None or inputs.get(f"{property}Prefix") is not None


_ZERO: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "map": {}}


def _filled(values: Mapping[str, Any], spec: Mapping[str, Node]) -> dict[str, Any]:
    """Every output with a value: an output that is never returned reads None in an update and unknown in a preview, and
    an unchanged stack would then preview a change. Objects nobody set stay away."""
    out = dict(values)
    for key, node in spec.items():
        if out.get(key) is None and node["t"] in _ZERO:
            zero = _ZERO[node["t"]]
            out[key] = type(zero)() if isinstance(zero, list | dict) else zero
    return out


__all__ = ["Config", "DiffResult", "LostAnswer", "Provider"]
