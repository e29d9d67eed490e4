"""Stand-ins for what a node talks to: engine, metadata services, object stores."""
