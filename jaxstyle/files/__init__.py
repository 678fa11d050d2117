"""What appears on disk whole or not at all, and files from the web."""
