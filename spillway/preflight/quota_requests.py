"""Quotas to raise: which, to what value, and each cloud's words for it."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final

from infra import naming

_CONSOLES: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, slots=True)
class QuotaRequest(ABC):
    """A quota to raise: where, which, and to what value at least. Each cloud has a class of its own.

    service: whose quota: ec2, Microsoft.Compute, compute.googleapis.com. code: the quota as the cloud's API calls it.
    region: "" where it counts for all regions together. value: in the quota's own unit.
    """

    service: str
    code: str
    name: str
    region: str
    value: float

    @abstractmethod
    def console(self) -> str:
        """The page of the quota in the console."""

    @abstractmethod
    def command(self) -> str:
        """The cloud's command for the request."""

    def text(self) -> str:
        """For a table: what and how, in one line."""
        return f"request {self.name} ({self.code}) = {self.value:.10g}: {self.command()}"

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "service": self.service,
            "quotaCode": self.code,
            "quotaName": self.name,
            "region": self.region,
            "value": self.value,
            "console": self.console(),
            "command": self.command(),
        }


@dataclass(frozen=True, slots=True)
class AwsQuotaRequest(QuotaRequest):
    """Service Quotas (https://docs.aws.amazon.com/servicequotas/latest/userguide/)."""

    def console(self) -> str:
        host = _CONSOLES[naming.partition(self.region)]
        return f"https://{self.region}.{host}/servicequotas/home/services/{self.service}/quotas/{self.code}"

    def command(self) -> str:
        return (
            f"aws service-quotas request-service-quota-increase --service-code {self.service} "
            f"--quota-code {self.code} --desired-value {self.value:.10g} --region {self.region}"
        )


@dataclass(frozen=True, slots=True)
class AzureQuotaRequest(QuotaRequest):
    """A regional quota of a subscription (https://learn.microsoft.com/azure/quotas/quickstart-increase-quota-portal).

    kind: what the quota API calls its type: dedicated, lowPriority, PublicIpAddresses.
    """

    subscription: str
    kind: str

    def console(self) -> str:
        return "https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"

    def command(self) -> str:
        """https://learn.microsoft.com/cli/azure/quota (extension `quota`)"""
        scope = f"/subscriptions/{self.subscription}/providers/{self.service}/locations/{self.region}"
        return (
            f"az quota update --resource-name {shlex.quote(self.code)} --scope {scope} "
            f"--limit-object value={self.value:.10g} limit-object-type=LimitValue --resource-type {self.kind}"
        )


@dataclass(frozen=True, slots=True)
class GcpQuotaRequest(QuotaRequest):
    """An allocation quota of a project (https://docs.cloud.google.com/docs/quotas/view-manage). code: the metric."""

    project: str

    def console(self) -> str:
        return f"https://console.cloud.google.com/iam-admin/quotas?project={self.project}&service={self.service}"

    def command(self) -> str:
        """https://docs.cloud.google.com/sdk/gcloud/reference/beta/quotas/preferences/create; quota ids are the metric's
        name with hyphens (https://docs.cloud.google.com/docs/quotas/configure-dimensions)."""
        place = "-per-project-region" if self.region else "-per-project"
        where = f" --dimensions=region={self.region}" if self.region else ""
        return (
            f"gcloud beta quotas preferences create --project={self.project} --service={self.service} "
            f"--quota-id={self.code.replace('_', '-')}{place}{where} --preferred-value={self.value:.10g}"
        )
