"""Secrets and weights of a region, through the stores that `spillway secrets` and `spillway models` use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

from infra.node_config import model_prefix
from spillway.models.store import BucketError, ModelStore, NoBucket
from spillway.preflight.context import RegionContext
from spillway.preflight.model import Asker, Row, Unanswered, once
from spillway.preflight.secret_checks import Judge, judge_api_keys, judge_certificate, judged, push, where
from spillway.secrets.store import Denied, Held, NotThere, SecretStore, StoreError


class Withheld(Unanswered):
    """A secret that may not be read, which least privilege asks for."""


class Stored(Protocol):
    """What an account tells of the stack's stores. Methods raise Unanswered."""

    stand_in: bool
    secret_right: str
    """The right that reading a secret needs."""

    def deployed(self, stack: str) -> bool:
        """Whether the stack stands: before the first `up`, what it makes is not missing yet."""
        ...

    def secret(self, name: str) -> Held | None:
        """The newest version, None where there is no secret. Raises Withheld when it may not be read."""
        ...

    def is_filled(self, name: str) -> bool:
        """Whether a secret that may not be read has a value."""
        ...

    def has_object(self, key: str) -> bool | None:
        """Whether the model store holds it, None where there is no store yet."""
        ...


class StoreReader(Asker, ABC):
    """Base of accounts whose stores are read as the commands read them. Nothing is opened before it is asked."""

    @abstractmethod
    def _secrets(self) -> SecretStore: ...

    @abstractmethod
    def _models(self) -> ModelStore: ...

    @once
    def secret(self, name: str) -> Held | None:
        """See Stored."""
        try:
            return self._secrets().read(name)
        except NotThere:
            return None
        except Denied as error:
            raise Withheld(error.lines[0], "let whoever runs preflight read it, or leave it: nodes read it") from None
        except StoreError as error:
            raise Unanswered(error.lines[0]) from None

    @once
    def has_object(self, key: str) -> bool | None:
        """See Stored."""
        try:
            return self._models().stat(key) is not None
        except NoBucket:
            return None
        except BucketError as error:
            raise Unanswered(error.lines[0]) from None


Context = RegionContext[Any, Stored]


def certificate(context: Context) -> Iterator[Row]:
    """The certificate's secret, and the certificate itself when this caller may read it."""
    name = context.config.secrets.certificate
    return _secret(context, "certificate", "certificate", name, judge_certificate)


def api_keys(context: Context) -> Iterator[Row]:
    """The API keys' secret, and its shape when this caller may read it."""
    return _secret(context, "api-keys", "API keys", context.config.secrets.api_keys, judge_api_keys)


def _secret(context: Context, id: str, title: str, name: str, judge: Judge) -> Iterator[Row]:
    account = context.account
    empty = Row(
        id, title, "warning", f"{name}: empty", "a value", "nodes stay unready until it has one",
        commands=(push(context, id),),
    )  # fmt: skip
    try:
        held = account.secret(name)
    except Withheld as refusal:
        if not account.is_filled(name):
            yield empty
            return
        told = f"{name}: has a value; not looked into ({refusal.reason})"
        yield Row(id, title, "note", told, "", f"least privilege; with {account.secret_right} more is checked")
        return
    if held is None and account.deployed(context.stack):
        action = "deleted behind Pulumi's back: `pulumi up --refresh` makes it again"
        yield Row(id, title, "warning", f"{name}: not there", "a secret with a value", action)
    elif held is None:
        action = "after the first `up`, which makes its place"
        yield Row(id, title, "note", f"{name}: not there yet", "", action, commands=(push(context, id),))
    elif held.value is None:
        yield empty
    else:
        yield from judged(context, id, judge, held.value)


def weights(context: Context, store: str) -> Iterator[Row]:
    """The revision's manifest, written last when weights are copied: without it no node gets ready.

    store: URI of the model store, without a slash at its end.
    """
    key = f"{model_prefix(context.config)}manifest.json"
    title, id = "weights", "weights"
    commands = (f"spillway models push FOLDER --stack {context.stack}{where(context)}",)
    found = context.account.has_object(key)
    if found is None:
        yield Row(id, title, "note", "no bucket yet", key, "after the first `up`, which makes it", commands=commands)
    elif found:
        yield Row(id, title, "ok", f"{store}/{key}", "manifest.json")
    else:
        action = "nodes stay unready until the weights are there, the manifest last"
        yield Row(id, title, "warning", f"{store}/{key}: not there", "manifest.json", action, commands=commands)
