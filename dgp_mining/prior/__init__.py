"""Statistics -> the kernel dictionary, and measures of its quality."""
