"""Statistics -> the kernel dictionary, and how good it is."""
