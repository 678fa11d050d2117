"""The live path of a frame: source -> engine -> sink."""
