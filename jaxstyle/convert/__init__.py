"""Published PyTorch weights of known architectures, made into bundles."""
