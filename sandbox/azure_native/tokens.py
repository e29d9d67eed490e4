"""The types that the stand-in Azure covers, by their Pulumi tokens."""

from typing import Final

RESOURCE_GROUP: Final = "azure-native:resources:ResourceGroup"
PROFILE: Final = "azure-native:trafficmanager:Profile"
ENDPOINT: Final = "azure-native:trafficmanager:Endpoint"
ZONE: Final = "azure-native:dns:Zone"
RECORD_SET: Final = "azure-native:dns:RecordSet"
