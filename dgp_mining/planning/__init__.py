"""Which crops of which images, with what settings; planned crops -> pixels."""
