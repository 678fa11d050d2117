"""Runs a training command as one Slurm job: `python -m launch.slurm ... -- COMMAND`.

One process a GPU, or a task of CPUs, on one node or several. The job saves before its time limit
ends, goes back into the queue, and goes on from there until the run is finished.
"""

import argparse
import dataclasses
import importlib.metadata
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.arguments import positive_int
from jaxstyle.errors import UserError, run_command, run_program
from jaxstyle.files.atomic_file import make_folder, write_whole

_DETAILS = """\
examples:
  python -m launch.slurm --gpus_per_node=4 --nodes=2 --time=8:00:00 -- \\
      python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime
  python -m launch.slurm --tasks_per_node=2 --cpus_per_task=8 --dry_run -- \\
      python -m jaxstyle.main --config=configs/demo.py --workdir=runs/demo

Script and logs go to the command's --workdir, which all nodes must see, as they must the checkout.
scancel ends a job for good; the same command, submitted again, goes on from where it was saved.
"""

_SCRIPT = """\
#!/usr/bin/env bash
{directives}

# Slurm sends SIGUSR1 to this script {save_seconds} seconds before the time limit. The run is then
# told to save, though not by way of srun, which kills on SIGTERM, and the job goes back into the
# queue. scancel sends no SIGUSR1, so that it ends the job.
time_is_up=
trap 'time_is_up=yes; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

# The environment is made once, before all processes want it.
{local} true || exit
{exports}srun {srun_options} \\
    {local} \\
    {command} &
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
"""

# Lines for a batch script.
GPUS_ONLY = """\
# Fails without a GPU, where JAX would else train on the CPU, for days.
export JAX_PLATFORMS=${JAX_PLATFORMS:-cuda,cpu}
"""

# As sbatch has them: minutes, minutes:seconds, hours:minutes:seconds, days-hours and so on.
_TIME = re.compile(r"(?:(?P<days>\d+)-(?P<of_day>\d+(?::\d+){0,2})|(?P<plain>\d+(?::\d+){0,2}))")


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of Slurm.

    gpus_per_node: a process each; 0 is a job on CPUs, of `tasks_per_node` processes a node. time:
    the limit as sbatch takes it; empty is the partition's. save_seconds: how long before it the run
    is told to save. cpus_per_task 0 and empty texts leave the choice to Slurm. options: further
    ones of sbatch, such as "--account=vision".
    """

    name: str
    nodes: int = 1
    gpus_per_node: int = 0
    tasks_per_node: int = 1
    cpus_per_task: int = 0
    time: str = ""
    save_seconds: int = 300
    partition: str = ""
    options: tuple[str, ...] = ()


def batch_script(job: Job, command: Sequence[str], *, checkout: Path, folder: Path) -> str:
    """Returns the text of the batch script that runs `command` as `job`.

    checkout: where launch/local.sh is. folder: where the job runs, absolute; relative paths in
    `command` start there, its --workdir among them, to which the log goes. Raises `UserError` for a
    command without a --workdir, and for a time limit that leaves no time to train.
    """
    if job.time:
        checked_limit(job.time, job.save_seconds)
    log = folder / workdir_of(command) / "slurm-%j.log"
    options = [
        f"--job-name={job.name}",
        f"--nodes={job.nodes}",
        f"--ntasks-per-node={job.gpus_per_node or job.tasks_per_node}",
    ]
    # Every process sees all GPUs of its node, and JAX takes the one of its number: bound to one
    # each, they could not copy from one to the other directly.
    options += [f"--gpus-per-node={job.gpus_per_node}"] if job.gpus_per_node else []
    options += [f"--cpus-per-task={job.cpus_per_task}"] if job.cpus_per_task else []
    options += [f"--time={job.time}"] if job.time else []
    options += [f"--partition={job.partition}"] if job.partition else []
    options += [
        f"--chdir={folder}",
        f"--output={str(log.parent).replace('%', '%%')}/{log.name}",
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{job.save_seconds}",
        *job.options,
    ]
    # One process that is gone would leave the others waiting for it until the time limit.
    srun_options = ["--kill-on-bad-exit=1"]
    # srun does not take it from sbatch, since Slurm 22.05.
    srun_options += [f"--cpus-per-task={job.cpus_per_task}"] if job.cpus_per_task else []
    return _SCRIPT.format(
        directives="\n".join(f"#SBATCH {shlex.quote(option)}" for option in options),
        save_seconds=job.save_seconds,
        local=shlex.quote(str(checkout / "launch" / "local.sh")),
        exports=GPUS_ONLY if job.gpus_per_node else "",
        srun_options=" ".join(srun_options),
        command=shlex.join(command),
    )


def limit_seconds(time: str) -> int:
    """Returns the seconds in a time limit, written as sbatch takes it: 90, 8:00:00, 1-12 ...

    Raises `UserError` for anything else.
    """
    match = _TIME.fullmatch(time)
    if not match:
        raise UserError(f"--time={time} is not of the form minutes, 8:00:00 or days-hours")
    parts = [int(part) for part in (match["of_day"] or match["plain"]).split(":")]
    if match["of_day"]:
        hours, minutes, seconds = [*parts, 0, 0][:3]
    else:
        # Alone, a number is of minutes; the first of two, too.
        hours, minutes, seconds = parts if len(parts) == 3 else [0, *parts, 0][:3]
    return int(match["days"] or 0) * 86400 + hours * 3600 + minutes * 60 + seconds


def checked_limit(time: str, save_seconds: int) -> int:
    """Returns the seconds in a time limit, as `limit_seconds` does.

    Raises `UserError` also for one that leaves no time to train before the run is told to save.
    """
    seconds = limit_seconds(time)
    if seconds <= save_seconds:
        raise UserError(
            f"--time={time} is not longer than the {save_seconds} seconds that are kept for "
            "saving; give more, or a smaller --save_seconds"
        )
    return seconds


def refusal_reason(told: str) -> str:
    """Returns in one line why Slurm refuses, from what its command wrote on stderr."""
    lines = [line.strip() for line in told.splitlines()]
    # Below the reason, sbatch may point to its --help.
    reasons = [line for line in lines if line and not line.startswith('Try "')]
    if not reasons:
        return "no reason given"
    return reasons[-1].removeprefix("sbatch: ").removeprefix("error: ")


def workdir_of(command: Sequence[str]) -> str:
    """Returns the --workdir in a command line. Raises `UserError` where there is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--workdir", default="")
    workdir = parser.parse_known_args(command)[0].workdir
    if not workdir:
        raise UserError("the command has no --workdir=FOLDER, where the job's log would go")
    return workdir


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.command:
        parser.error("no command to run: give one after --")
    if args.gpus_per_node and args.tasks_per_node:
        parser.error("--tasks_per_node is for CPUs; with GPUs there is one process a GPU")
    return run_command(_launch, args, interrupted="see squeue for whether the job was submitted")


def _launch(args: argparse.Namespace) -> None:
    folder = Path.cwd()
    workdir = folder / workdir_of(args.command)
    job = Job(
        name=args.job_name or workdir.name,
        nodes=args.nodes,
        gpus_per_node=args.gpus_per_node or 0,
        tasks_per_node=args.tasks_per_node or 1,
        cpus_per_task=args.cpus_per_task or 0,
        time=args.time,
        save_seconds=args.save_seconds,
        partition=args.partition,
        options=tuple(args.sbatch),
    )
    checkout = Path(__file__).resolve().parents[1]
    script = batch_script(job, args.command, checkout=checkout, folder=folder)
    if args.dry_run:
        print(script, end="")
        return
    if not shutil.which("sbatch"):
        raise UserError("there is no sbatch here; submit from where Slurm is, or try --dry_run")
    if job.gpus_per_node and not importlib.metadata.entry_points(group="jax_plugins"):
        raise UserError(
            "JAX cannot use GPUs in this environment: run this once more with "
            "JAXSTYLE_EXTRAS=test,cuda launch/local.sh in front"
        )
    make_folder(workdir)
    path = workdir / "slurm.sh"
    write_whole(path, script.encode())
    # --parsable: the number of the job, and after a semicolon its cluster.
    sbatch = subprocess.run(["sbatch", "--parsable", path], capture_output=True, text=True)
    if sbatch.returncode:
        raise UserError(f"sbatch refused {path}: {refusal_reason(sbatch.stderr)}")
    number = sbatch.stdout.strip().partition(";")[0]
    print(f"submitted: job {number}, log {workdir}/slurm-{number}.log")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m launch.slurm",
        usage="%(prog)s [options] -- python -m jaxstyle.main --config=... --workdir=...",
        description="Submits a training command as one Slurm job that saves before its time\n"
        "limit, requeues itself, and ends when the run is finished.",
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    number: dict[str, Any] = {"type": positive_int, "metavar": "N"}
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--nodes", default=1, help="how many (1)", **number)
    parser.add_argument("--gpus_per_node", help="a process each; without it, no GPUs", **number)
    parser.add_argument("--tasks_per_node", help="processes on each node, on CPUs (1)", **number)
    parser.add_argument("--cpus_per_task", help="cores of each process (Slurm's default)", **number)
    parser.add_argument(
        "--time", default="", help="limit of one stay: minutes, 8:00:00, 1-12 (the partition's)"
    )
    parser.add_argument(
        "--save_seconds",
        default=300,
        help="so long before the limit, the run is told to save (300); Slurm may be a minute early",
        **number,
    )
    parser.add_argument("--partition", default="", help="as sbatch has it (the default one)")
    parser.add_argument("--job_name", default="", help="(the name of the workdir)")
    parser.add_argument(
        "--sbatch",
        action="append",
        default=[],
        metavar="OPTION",
        help="a further option of sbatch: --sbatch=--account=vision; may be repeated",
    )
    parser.add_argument("--dry_run", action="store_true", help="print the batch script, no more")
    return parser


if __name__ == "__main__":
    run_program(main)
