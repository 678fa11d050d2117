"""How fast training is: a step against the same step in PyTorch, and how long it waits for data."""
