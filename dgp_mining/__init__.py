"""Mining the Deep Gaussian Prior: images -> crops -> fits -> Zarr -> statistics -> dictionary."""
