"""Training a network: samples, loss, schedule, loop, validation."""
