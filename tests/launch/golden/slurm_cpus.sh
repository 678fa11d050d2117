#!/usr/bin/env bash
#SBATCH --job-name=anime
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=2
#SBATCH --chdir=/scratch
#SBATCH --output=/scratch/runs/anime/slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@60

# Slurm sends SIGUSR1 to this script 60 seconds before the time limit. The run is then
# told to save, though not by way of srun, which kills on SIGTERM, and the job goes back into the
# queue. scancel sends no SIGUSR1, so that it ends the job.
time_is_up=
trap 'time_is_up=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# The environment is made once, before all processes want it.
/home/me/jaxstyle/launch/local.sh true || exit
srun --kill-on-bad-exit=1 \
    /home/me/jaxstyle/launch/local.sh \
    python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime &
run=$!
wait "$run"
status=$?
if [[ $time_is_up ]]; then
    # It was the signal that ended the wait, not the run.
    wait "$run"
    status=$?
    if [[ $status -ne 0 ]]; then
        echo "out of time: back into the queue"
        scontrol requeue "$SLURM_JOB_ID"
    fi
fi
exit "$status"
