"""A change reviewed before it is made: a preview for each stack, its cost and its risks, in one document."""
