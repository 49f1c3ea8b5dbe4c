"""LR image -> field of Gaussians: what all architectures share, and one folder for each."""
