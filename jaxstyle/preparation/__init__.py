"""Films to training frames: what to keep of a film, and how it is kept. See `jaxstyle.prepare`."""
