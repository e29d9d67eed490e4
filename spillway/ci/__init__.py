"""What CI does around a review: which stacks, one comment, issues for drift, the gate between two regions."""
