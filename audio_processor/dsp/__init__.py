"""Signal processing: numba kernels, streaming meters, limiter. No I/O."""
