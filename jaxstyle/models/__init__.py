"""Generators and discriminators: Flax Linen modules, one architecture a file."""
