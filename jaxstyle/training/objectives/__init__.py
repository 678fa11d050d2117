"""What a step minimises: the networks' results on a batch, and the terms that judge them.

To add a loss:

1. Write a function `(players, outputs, images, settings, key) -> scalar` in `generator.py`, or one
   of a discriminator, `(judged, settings, key) -> scalar`, in `discriminator.py`.
2. Add its record to `TERMS` at the end of that file: `Term("yours", _yours, side="style")`, with
   what it `needs`, see `term.Term`.
3. Give it a default in `jaxstyle/training/default_config.py`, under its name among `losses`:
   `"yours": {"weight": 0.0, "schedule": CONSTANT}` and whatever `settings` should have.

Its value is then "g/yours" (or "d/yours") in metrics.jsonl.
"""
