"""The policy pack as the engine starts it: `pulumi preview --policy-pack policy`."""

import sys
from pathlib import Path

# The engine runs this folder, so that Python takes its modules for the top of all names; what is imported is the
# package, out of the checkout.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from policy.pack import serve  # noqa: E402

serve()
