"""Our checkpoints, public encoders' weights, and released checkpoints."""
