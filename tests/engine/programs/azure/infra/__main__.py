"""Every component of an Azure region on an explicit provider; AZURE_CHANGES has values of the stack file to set."""

import json
import os

import pulumi

from infra.azure.provider import provider
from tests.support.azure_components import build, region

config = region(json.loads(os.environ.get("AZURE_CHANGES", "{}")))
account = provider(config)
options = pulumi.ResourceOptions(providers={"azure-native": account})
for name, value in build(config, options, account).items():
    pulumi.export(name, value)
