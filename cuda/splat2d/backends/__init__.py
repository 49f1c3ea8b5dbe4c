"""The implementations of rendering and fitting; all compute the same function.

`dense`: torch, every pixel times every Gaussian; the oracle. `cpu`: C++. `cuda`: NVIDIA GPUs, through NVRTC.
`fallback`: torch, on machines without the C++ library.
"""
