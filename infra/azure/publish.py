"""Put the fallback function's package into its app. `pulumi up` does it when the app is new or the package another one;

    python -m infra.azure.publish azure-eastus

does the same at any other time.

The provider can write no blob into an account without keys (https://github.com/pulumi/pulumi-azure-native/issues/2015),
and Flex Consumption wants its packages from its own deployment service ("one deploy"), with the identity of whoever
deploys: https://learn.microsoft.com/azure/azure-functions/functions-deployment-technologies#one-deploy. That builds in
Azure what requirements.txt pins, each file checked against its hash, and stores the result in the deployment container.
Needs the right Microsoft.Web/sites/publish/action.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from infra.azure import names
from infra.function import package
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse

    from infra.config import AzureRegion

# What the Azure CLI asks a token for: https://github.com/Azure/azure-cli, appservice/custom.py (get_scm_site_headers)
SCOPE: Final = "https://management.core.windows.net//.default"
ARM: Final = "https://management.azure.com"
SITES_API: Final = "2024-11-01"
SUCCESS: Final = 4
"""https://github.com/projectkudu/kudu/blob/master/Kudu.Contracts/Deployment/DeployStatus.cs"""
PUBLISH_SECONDS: Final = 900
"""Rights that are new take up to ten minutes to be everywhere; a build takes two.
https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-arent-being-detected"""
PAUSE_SECONDS: Final = 5.0
PACKAGE: Final = "released-package.zip"
"""The package's name in the deployment container."""
AGAIN: Final = frozenset({401, 403, 404, 409, 429, 500, 502, 503, 504})
"""Answers of an app that is new: its host name, its rights and those of its identity are on their way."""


class PublishError(SpillwayError):
    """One line: what Azure answered."""


class Unreached(PublishError):
    """Nobody answered."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """credential: for tests; None logs in as the provider does. clock, sleep: seconds. say: hears how it goes."""

    credential: TokenCredential | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    seconds: float = PUBLISH_SECONDS
    say: Callable[[str], object] = field(default=lambda line: None)

    def publish(self, hosts: Sequence[str], content: bytes) -> None:
        """Publish to the app with these host names (`enabledHostNames`). Raises PublishError.

        The host name of its deployment service is among them; it need not follow from the app's name:
        https://learn.microsoft.com/azure/app-service/reference-dangling-subdomain-prevention
        """
        from azure.core.rest import HttpRequest

        host = next((host for host in hosts if ".scm." in host), None)
        if host is None:
            raise PublishError(f"the app has no host name for deployments among {', '.join(hosts) or 'none'}")
        end = self.clock() + self.seconds
        service = f"https://{host}"
        with self._client(service, SCOPE) as client:
            ask = HttpRequest(
                "POST",
                f"{service}/api/publish",
                params={"RemoteBuild": "true", "Deployer": "spillway"},
                content=content,
                headers={"Content-Type": "application/zip"},
            )
            accepted = self._until(end, client, ask, "publish")
            # By its path, so that the token goes to no other host.
            where = urlsplit(accepted.headers.get("Location") or "").path or "/api/deployments/latest"
            self.say("built by Azure from requirements.txt, a matter of minutes")
            while True:
                state = self._until(end, client, HttpRequest("GET", service + where), "deployment").json()
                if state.get("complete"):
                    break
                self._wait(end, "the build has not ended")
        if state.get("status") != SUCCESS:
            why = state.get("status_text") or state.get("message") or f"status {state.get('status')}"
            raise PublishError(f"the build failed: {' '.join(str(why).split())}; its log: {state.get('log_url')}")

    def hosts(self, config: AzureRegion) -> Sequence[str]:
        """Host names of a region's app. Raises PublishError."""
        from azure.core.rest import HttpRequest

        app = names.function_app(config.stack_name, config.account)
        group = names.group_id(config.account, names.resource_group(config.stack_name))
        url = f"{ARM}{group}/providers/Microsoft.Web/sites/{app}"
        with self._client(ARM, f"{ARM}/.default") as client:
            answer = self._send(client, HttpRequest("GET", url, params={"api-version": SITES_API}))
        if answer.status_code == 404:
            raise PublishError(f"{app}: not there; the stack's `up` makes it")
        if answer.status_code >= 400:
            raise PublishError(f"{app}: {_told(answer)}")
        found: list[str] = answer.json()["properties"]["enabledHostNames"]
        return found

    def _until(self, end: float, client: PipelineClient[Any, Any], ask: HttpRequest, what: str) -> HttpResponse:
        while True:
            try:
                answer = self._send(client, ask)
            except Unreached as error:  # the name of a new app is not known everywhere at once
                self._wait(end, f"{what}: {error}")
                continue
            if answer.status_code < 400:
                return answer
            # The service writes the package with the app's identity, whose own rights may be new as well.
            if answer.status_code not in AGAIN and "BlobUploadFailed" not in answer.text():
                raise PublishError(f"{what}: {_told(answer)}")
            self._wait(end, f"{what}: {_told(answer)}")

    def _wait(self, end: float, why: str) -> None:
        if self.clock() + PAUSE_SECONDS > end:
            raise PublishError(f"given up after {self.seconds:g} s: {why}")
        self.sleep(PAUSE_SECONDS)

    @staticmethod
    def _send(client: PipelineClient[Any, Any], ask: HttpRequest) -> HttpResponse:
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

        try:
            answer: HttpResponse = client.send_request(ask)
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Unreached(" ".join(str(error).split())) from None
        except AzureError as error:
            raise PublishError(" ".join(str(error).split())) from None
        return answer

    def _client(self, host: str, scope: str) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy

        login_as = self.credential or login(os.environ)
        return PipelineClient(host, policies=[RetryPolicy.no_retries(), BearerTokenCredentialPolicy(login_as, scope)])


def _told(answer: HttpResponse) -> str:
    """An answer that is no success, in one line."""
    return f"{answer.status_code} {answer.reason}: {' '.join(answer.text().split())[:300]}"


def login(environment: Mapping[str, str]) -> TokenCredential:
    """Whoever the provider works as: a service principal by ARM_* variables, else what azure-identity finds.

    https://www.pulumi.com/registry/packages/azure-native/installation-configuration/
    """
    from azure.identity import ClientAssertionCredential, ClientSecretCredential, DefaultAzureCredential

    tenant, client = environment.get("ARM_TENANT_ID"), environment.get("ARM_CLIENT_ID")
    if tenant and client and (secret := environment.get("ARM_CLIENT_SECRET")):
        return ClientSecretCredential(tenant, client, secret)
    if tenant and client and (token := environment.get("ARM_OIDC_TOKEN")):
        return ClientAssertionCredential(tenant, client, lambda: token)
    return DefaultAzureCredential()


FOLDER: Final = "SPILLWAY_PUBLISH_TO"
"""An environment variable: the folder that takes packages instead of Azure, where no app is behind the engine."""


def keep(folder: Path, app: str, content: bytes) -> Path:
    """Publishing without Azure: `<folder>/<app>/<package>`."""
    path = folder / app / PACKAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m infra.azure.publish azure-eastus`"""
    from infra.config import AzureRegion, load_stack_file

    parser = argparse.ArgumentParser(description="Publish the fallback function of an Azure region stack.")
    parser.add_argument("stack", help="such as azure-eastus")
    stack = parser.parse_args(arguments).stack
    try:
        config = load_stack_file(package.ROOT / "stacks" / f"Pulumi.{stack}.yaml", stack)
        if not isinstance(config, AzureRegion):
            raise PublishError(f"{stack}: not an Azure region")
        publisher = Publisher(say=lambda line: print(line, file=sys.stderr))  # noqa: T201
        publisher.publish(publisher.hosts(config), package.archive("azure"))
    except (SpillwayError, package.PackageError) as error:
        for line in error.lines if isinstance(error, SpillwayError) else (str(error),):
            print(line, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
