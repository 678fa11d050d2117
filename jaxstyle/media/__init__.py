"""Pictures and films: read, written, laid out side by side."""
