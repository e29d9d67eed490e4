"""The fallback function against the clouds' own SDKs."""
