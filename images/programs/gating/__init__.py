"""The parts of the readiness gate: what the node's files say, what the engine says, and what follows from both.

Everything but `poll` is free of input and output and takes the time as an argument: seconds of a clock that never goes
back.
"""
