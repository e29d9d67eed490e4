"""Whether an app takes user and password from those who publish to it: one policy per way, there with every app.

https://learn.microsoft.com/azure/app-service/configure-basic-auth-disable
"""

from __future__ import annotations

from typing import Any, ClassVar

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.functions import API_VERSION, WebApp
from sandbox.azure_native.regional import Regional
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, Resource


class _Policy(Regional):
    """Creating it sets what is there, deleting it sets that back to `allow: true`
    (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/openapi/defaults/defaultResourcesState.go)."""

    namespace = "Microsoft.Web"
    api_version = API_VERSION
    located = False
    taggable = False
    name_property = "name"
    name_rule = WebApp.name_rule
    path = ("resourceGroupName", "name")
    replace_on = path
    changes_on_update = ()
    way: ClassVar[str]

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [("sites", str(args["name"])), ("basicPublishingCredentialsPolicies", self.way)]

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        app = f"{arm.need_group(cloud, args['resourceGroupName']).id}/providers/Microsoft.Web/sites/{args['name']}"
        if arm.find_by_id(cloud, tokens.WEB_APP, app) is None:
            raise arm.parent_missing(f"Microsoft.Web/sites/{args['name']}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {**self.common_outputs(args), "allow": args["allow"]}


@AZURE_NATIVE.kind
class WebAppScmAllowed(_Policy):
    """https://learn.microsoft.com/rest/api/appservice/web-apps/update-scm-allowed"""

    token = tokens.SCM_ALLOWED
    type_name = "basicPublishingCredentialsPolicies"
    way = "scm"


@AZURE_NATIVE.kind
class WebAppFtpAllowed(_Policy):
    """https://learn.microsoft.com/rest/api/appservice/web-apps/update-ftp-allowed"""

    token = tokens.FTP_ALLOWED
    type_name = "basicPublishingCredentialsPolicies"
    way = "ftp"
