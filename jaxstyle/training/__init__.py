"""Training: from a config to a generator that runs."""
