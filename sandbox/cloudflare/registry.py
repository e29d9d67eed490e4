"""The registry that every module of Cloudflare types adds to."""

from sandbox.kinds import Registry

CLOUDFLARE = Registry("cloudflare", "0123456789abcdef0123456789abcdef")
"""The account is the token's, and tokens are not looked at: it is always this one. Resources name their own."""
