"""What region stacks and the global stack really contain, as typed values that a simulator of whole fleets takes.

fleet = load_stack_files(Path("stacks"))                        # nothing deployed, no engine
fleet = load_exports([Path("aws-us-east-1.json"), ...])         # pulumi stack export
fleet = load_plans([Path("plan.json"), ...])                    # pulumi preview --json --show-sames
fleet = load_sandbox(Path(".sandbox"))                          # what `make demo` deployed
fleet.region("aws-us-east-1").spot.minimum                      # 2
fleet.origin("aws-us-east-1.spot.minimum")                      # URN and property that say so
"""

from rehearsal.fleet.alarms import Alarm, AlarmFallback
from rehearsal.fleet.load import load, load_exports, load_plans, load_sandbox, load_stack_files
from rehearsal.fleet.model import (
    Balancer,
    Fleet,
    FunctionFallback,
    Hook,
    Member,
    Node,
    NoFallback,
    Origin,
    Place,
    Pool,
    PriceKey,
    Region,
    Service,
    Tier,
    World,
)

__all__ = [
    "Alarm", "AlarmFallback", "Balancer", "Fleet", "FunctionFallback", "Hook", "Member", "NoFallback", "Node", "Origin",
    "Place", "Pool", "PriceKey", "Region", "Service", "Tier", "World", "load", "load_exports", "load_plans",
    "load_sandbox", "load_stack_files",
]  # fmt: skip
