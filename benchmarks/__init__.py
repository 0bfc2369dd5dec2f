"""How fast the kernels and the engine are, beside their peers in one run: ``python -m benchmarks``."""
