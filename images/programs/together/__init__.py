"""A replica that is several nodes: who belongs to it, whether they are there, and what starts on which of them."""
