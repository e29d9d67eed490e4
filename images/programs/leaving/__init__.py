"""How a node leaves: notices of the clouds, the time that is left, drain.json, and what the cloud is told."""
