"""One HTML page about a prior, and fitted fields as files."""
