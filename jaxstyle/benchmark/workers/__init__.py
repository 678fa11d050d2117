"""The processes that are measured, one a runtime.

Those of other runtimes are scripts, run by path, that need their own packages and NumPy only: the
interpreter that has PyTorch need not have jaxstyle.
"""
