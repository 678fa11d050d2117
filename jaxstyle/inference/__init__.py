"""Running a trained generator: bundles, the compiled step, styles, tiles, the judge.

Live use, films, teachers, evaluation, export and previews all call this; it knows no user
interface.
"""
