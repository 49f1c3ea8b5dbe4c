"""Reading and writing image files: pixels as they are stored, and their metadata."""
