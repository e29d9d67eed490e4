"""The parts of `spillway recover`: what a stack's state holds, what exists, and how the two are brought together."""
