"""AWS Secrets Manager, by boto3.

Rights: sts:GetCallerIdentity (nobody can be denied it), and on the secrets secretsmanager:GetSecretValue,
DescribeSecret and PutSecretValue. Without GetSecretValue nothing can be compared, and every push makes a new version.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from spillway.preflight.aws_calls import CONFIG, DENIED, answered, code_of, session
from spillway.preflight.model import Unanswered
from spillway.secrets.store import Denied, Held, Kind, NotThere, StoreError, hush

# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
BYTES_MAX: Final = 65_536
_GONE: Final = "is being deleted: `aws secretsmanager restore-secret` brings it back"


class SecretsManager:
    """The secrets of one account and region. See store.SecretStore.

    client: of `secretsmanager`; identity: of `sts`, asked once whose credentials these are.
    """

    most_bytes = BYTES_MAX

    def __init__(self, client: Any, identity: Any, account: str, region: str) -> None:
        self._client, self._identity, self._account, self._region = client, identity, account, region
        self._known = False
        self.where = f"Secrets Manager, {region}, account {account}"

    def read(self, name: str) -> Held:
        self._own_account()
        with self._asked(f"{name}: secretsmanager:GetSecretValue"):
            try:
                found = self._client.get_secret_value(SecretId=name)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
                found = None
        if found is None:  # no secret, or a secret without a value: the same code for both
            return self._empty(name)
        value = found.get("SecretString")
        # Bytes are no text to a node, which asks for SecretString: as good as no value, and always pushed over.
        return Held(str(value) if value is not None else "", str(found["VersionId"]), found.get("CreatedDate"))

    def _empty(self, name: str) -> Held:
        with self._asked(f"{name}: secretsmanager:DescribeSecret"):
            try:
                found = self._client.describe_secret(SecretId=name)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    raise self._missing(name) from None
                raise
        if found.get("DeletedDate") is not None:
            raise StoreError(f"{name}: {_GONE}")
        return Held(None)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        self._own_account()
        # boto3 makes up the request token once per call, so a retry after a lost answer makes no second version:
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html (ClientRequestToken)
        with self._asked(f"{name}: secretsmanager:PutSecretValue"):
            try:
                answer = self._client.put_secret_value(SecretId=name, SecretString=value)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    raise self._missing(name) from None
                raise
        return str(answer["VersionId"])

    def _own_account(self) -> None:
        """The same name may stand in any account: a secret must not reach another one."""
        if self._known:
            return
        with self._asked("sts:GetCallerIdentity"):
            account = self._identity.get_caller_identity()["Account"]
        if account != self._account:
            raise StoreError(f"the credentials lead to account {account}, the stack file says {self._account}")
        self._known = True

    def _missing(self, name: str) -> NotThere:
        return NotThere(f"{name}: not in {self._region}; the stack's `up` makes it, then push again")

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            with answered("secretsmanager", self._region):
                try:
                    yield
                except ClientError as error:
                    if code_of(error) in DENIED:
                        raise Denied(f"denied: {what}") from None
                    if code_of(error) == "InvalidRequestException" and "marked" in str(error):
                        raise StoreError(f"{what.partition(':')[0]}: {_GONE}") from None
                    raise
        except Unanswered as error:
            raise StoreError(f"{what}: {error.reason}") from None


def open_store(account: str, region: str, profile: str | None) -> SecretsManager:
    """The store that the environment's credentials (or `profile`'s) lead to; nothing is asked yet."""
    hush()
    opened = session(region, profile)
    with answered("secretsmanager", region):
        return SecretsManager(
            opened.client("secretsmanager", config=CONFIG), opened.client("sts", config=CONFIG), account, region
        )
