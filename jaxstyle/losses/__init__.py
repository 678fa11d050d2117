"""Losses: pure functions of arrays, one family a file."""
