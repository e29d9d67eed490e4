"""Rung 5: the real engine behind the real gate and nginx, with a model made on the spot."""
