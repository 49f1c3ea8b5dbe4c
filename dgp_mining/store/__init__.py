"""The Zarr store of fits and statistics: layout, parts, integrity, merge, verify, summary."""
