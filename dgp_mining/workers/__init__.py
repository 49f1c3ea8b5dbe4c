"""Where and how tasks run: this process, local workers, or a Dask cluster."""
