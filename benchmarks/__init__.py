"""How fast the line is, measured: `python -m benchmarks` runs all and writes `results.md`."""
