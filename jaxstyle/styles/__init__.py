"""The styles that ship: bundles and their pictures, and what lists, ships and describes them.

NAME.safetensors is the bundle of the style NAME, NAME.jpg shows what it makes of photos.
"""
