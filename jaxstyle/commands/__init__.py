"""What each command does, in a module of its own beside those of the arguments.

A command is two modules. `jaxstyle/generate.py` (or `__main__.py` in a folder of its own) has the
arguments and `main`; it imports only what is light, so that `--help` and mistakes in the arguments
are answered at once, in any installation. `commands/run_generate.py` does the work, and is imported
by `main` once the arguments are parsed, after `extras.require` where it needs an extra.
"""
