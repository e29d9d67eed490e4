"""The Pulumi program: `main: infra/` in Pulumi.yaml."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.program import build_stack

build_stack()
