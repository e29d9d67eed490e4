"""A stack whose cloud's SDK is not installed says so in one line."""

from __future__ import annotations

import sys

import pytest

from infra import sdks
from infra.faults import ConfigError


@pytest.mark.parametrize("extra", sdks.EXTRAS)
def test_what_is_installed_is_not_mentioned(extra: str) -> None:
    sdks.require(extra, "FILE", "KEY", extra)


def test_a_missing_sdk_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [])  # nothing can be found
    monkeypatch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if not k.startswith("pulumi_")})
    with pytest.raises(ConfigError) as refused:
        sdks.require("cloudflare", "stacks/Pulumi.global.yaml", "spillway:global.dns.provider", "cloudflare")
    assert list(refused.value.lines) == [
        "stacks/Pulumi.global.yaml: spillway:global.dns.provider = cloudflare: needs pulumi_cloudflare, which is not "
        "installed; `make setup` installs it"
    ]
