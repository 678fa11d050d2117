"""Guides: what a painter or a slow model makes of the content, for a generator to learn from."""
