"""One module for each format of image files, or for several that are read alike."""
