"""Data: random-access sources of uint8 frames, and the loader that batches them."""
