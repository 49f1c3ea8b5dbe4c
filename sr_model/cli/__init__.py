"""The commands sr-train, sr-upscale, sr-eval and sr-convert: options in, a library call, text out."""
