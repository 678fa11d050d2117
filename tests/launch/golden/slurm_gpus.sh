#!/usr/bin/env bash
#SBATCH --job-name=anime
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=8:00:00
#SBATCH --partition=gpu
#SBATCH --chdir=/scratch
#SBATCH --output=/scratch/runs/anime/slurm-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --account=vision

# Slurm sends SIGUSR1 to this script 300 seconds before the time limit. The run is then
# told to save, though not by way of srun, which kills on SIGTERM, and the job goes back into the
# queue. scancel sends no SIGUSR1, so that it ends the job.
time_is_up=
trap 'time_is_up=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# The environment is made once, before all processes want it.
/home/me/jaxstyle/launch/local.sh true || exit
# Fails without a GPU, where JAX would else train on the CPU, for days.
export JAX_PLATFORMS=${JAX_PLATFORMS:-cuda,cpu}
srun --kill-on-bad-exit=1 --cpus-per-task=8 \
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
