"""The node's secrets in AWS Secrets Manager: there, filled, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator

from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.aws_region.facts import Secret
from spillway.preflight.model import Row, Unanswered
from spillway.preflight.secret_checks import Judge, judge_api_keys, judge_certificate, judged, push


def certificate(context: AwsContext) -> Iterator[Row]:
    """The certificate's secret, and the certificate itself when this caller may read it."""
    name = context.config.secrets.certificate
    yield from _secret(context, "certificate", "certificate", name, judge_certificate)


def api_keys(context: AwsContext) -> Iterator[Row]:
    """The API keys' secret, and its shape when this caller may read it."""
    yield from _secret(context, "api-keys", "API keys", context.config.secrets.api_keys, judge_api_keys)


def _secret(context: AwsContext, id: str, title: str, name: str, judge: Judge) -> Iterator[Row]:
    found: Secret | None = context.account.secret(name)
    if found is None:
        if context.deployed():
            action = "deleted behind Pulumi's back: `pulumi up --refresh` makes it again"
            yield Row(id, title, "warning", f"{name}: not there", "a secret with a value", action)
        else:
            action = "after the first `up`, which makes it"
            yield Row(id, title, "note", f"{name}: not there yet", "", action, commands=(push(context, id),))
        return
    if found.deleted is not None:
        # https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_delete-secret.html
        told = f"{name}: deleted on {found.deleted:%Y-%m-%d}, in its recovery window"
        action = (
            f"aws secretsmanager restore-secret --secret-id {name}, or wait: its name cannot be used until it is gone"
        )
        yield Row(id, title, "failure", told, "a secret with a value", action)
        return
    if found.stack != context.stack and not context.deployed():
        whose = f"of stack {found.stack}" if found.stack else "without this stack's tag"
        action = "delete it with --force-delete-without-recovery, or name another one: `up` is refused as a duplicate"
        yield Row(id, title, "failure", f"{name}: there already, {whose}", "not there, or this stack's", action)
        return
    if not found.has_value:
        action = "nodes stay unready until it has one"
        yield Row(id, title, "warning", f"{name}: empty", "a value", action, commands=(push(context, id),))
        return
    try:
        value = context.account.secret_value(name)
    except Unanswered as error:
        told = f"{name}: has a value; not looked into ({error.reason})"
        yield Row(id, title, "note", told, "", "least privilege; with secretsmanager:GetSecretValue more is checked")
        return
    yield from judged(context, id, judge, value)
