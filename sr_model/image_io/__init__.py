"""Image files as stored, in and out, with their metadata."""
