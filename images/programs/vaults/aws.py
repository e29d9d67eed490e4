"""AWS Secrets Manager, by boto3. Rights: secretsmanager:GetSecretValue on the two secrets."""

from __future__ import annotations

from typing import Any

from images.programs import identity
from images.programs.vaults.vault import VaultError, denied, empty, unanswered


class SecretsManager:
    """See vault.Vault. client: of `secretsmanager`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def read(self, name: str) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.get_secret_value(SecretId=name)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "ResourceNotFoundException":  # no such secret and no value yet are one code
                raise empty(name) from None
            if code in ("AccessDeniedException", "AccessDenied", "UnrecognizedClientException"):
                raise denied(name, "secretsmanager:GetSecretValue") from None
            raise unanswered(name, code if code.isalnum() else "error") from None
        except BotoCoreError as error:
            raise unanswered(name, error) from None
        value = answer.get("SecretString")
        if not isinstance(value, str):
            raise VaultError(f"{name}: holds bytes, wanted is text")
        return value


def open_vault(region: str) -> SecretsManager:
    """By the instance's role. AWS_ENDPOINT_URL moves the service, as in every AWS SDK."""
    import boto3
    from botocore.config import Config

    identity.point_sdks("aws")
    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
    return SecretsManager(boto3.client("secretsmanager", region_name=region, config=config))
