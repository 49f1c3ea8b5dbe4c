"""GSASR (Generalized and Efficient 2D Gaussian Splatting for Arbitrary-scale Super-Resolution)."""
