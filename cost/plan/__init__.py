"""What a plan costs: `pulumi preview --json --show-sames` at the prices of a snapshot, before anything is deployed."""
