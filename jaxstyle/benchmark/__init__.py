"""Frames per second: generators, sizes and dtypes measured against other runtimes, in turns."""
