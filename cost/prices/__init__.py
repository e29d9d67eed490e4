"""Price snapshots: dated, hashed, every row with its source. Nothing here asks a network."""
