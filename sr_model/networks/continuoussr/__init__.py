"""ContinuousSR (Pixel to Gaussian)."""
