"""Many runs of one recipe: `python -m launch.sweep`, on this machine or as a Slurm array."""
