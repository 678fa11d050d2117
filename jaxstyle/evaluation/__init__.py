"""Figures of quality: pure functions of arrays, one metric a file."""
