"""A crop -> a field of 2D Gaussians, and the measurements of both."""
