"""A crop -> a field of 2D Gaussians, and what is measured of both."""
