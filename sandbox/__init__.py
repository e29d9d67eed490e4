"""Stand-in clouds: provider plugins for the real Pulumi engine that need no account and no network."""
