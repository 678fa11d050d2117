"""How long training waits for its data: `python -m jaxstyle.benchmark.training.input`."""
