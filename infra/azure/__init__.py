"""One region of Azure."""
