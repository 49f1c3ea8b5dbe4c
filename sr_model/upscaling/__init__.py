"""Upscaling with a trained network: arrays, files, folders and saved fields."""
