"""What every stack is held to before it is deployed: a policy pack of the engine, and a function of a plan.

pulumi preview --policy-pack policy
policy.check(cost.plan.preview.parse(text, file))
"""

from policy.judge import check

__all__ = ["check"]
