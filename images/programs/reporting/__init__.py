"""What a node reports to its cloud's metrics, and how each cloud takes it."""
