"""Any image file -> float32 sRGB pixels."""
