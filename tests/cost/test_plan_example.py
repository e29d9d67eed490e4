"""The documented example of a plan's cost, and the tables of docs/cost-plan.md."""

from __future__ import annotations

import re

from cost.plan.guards import EXIT
from cost.plan.use import KEYS
from tests.cost.plan_example import EXAMPLE, ROOT, example


def test_the_example_is_what_the_command_says() -> None:
    assert EXAMPLE.read_text() == example(), "write it anew: .venv/bin/python -m tests.cost.plan_example"


def test_the_page_has_every_key_of_a_usage_file_and_every_exit_code() -> None:
    page = (ROOT / "docs" / "cost-plan.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, flags=re.MULTILINE))
    assert rows == dict(KEYS)
    codes = {int(one) for one in re.findall(r"^\| `--.*\| (\d+) \|$", page, flags=re.MULTILINE)}
    assert codes == set(EXIT.values())
