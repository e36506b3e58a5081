"""The measurements: `python -m bench [NAME…]`, or `make bench`.

Each one runs beside its peers, in turn, in the same run: what is compared had the same
machine, the same servers and the same noise. docs/benchmarks.md says what is measured.
"""
