"""The registry that every module of Google Cloud types adds to."""

from sandbox.kinds import Registry

GCP = Registry(
    "gcp",
    "spillway-sandbox",
    lambda settings: str(settings["project"]) if settings.get("project") else None,
)
"""The account is the provider's project; a resource may name another one."""
