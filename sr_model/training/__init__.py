"""Training a network: data, loss, schedule, loop, validation."""
