"""The styles that ship, as a list and as a page, and the limits that they keep.

They are in `jaxstyle/inference/shipped_styles/`: NAME.safetensors is the bundle of the style NAME,
NAME.jpg shows what it makes of photos.
"""
