"""jaxstyle: train a GAN on a style, then turn a camera, a stream or a film into it, live."""

__version__ = "0.1.0"
