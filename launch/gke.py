"""Runs a training command as a JobSet on GKE: `python -m launch.gke ... -- COMMAND`.

Fills in launch/gke_jobset.yaml: a pod a node, each a process with all chips of its node.
"""

import argparse
import dataclasses
import json
import math
import posixpath
import re
import shutil
import string
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxstyle.arguments import positive_int
from jaxstyle.errors import UserError, run_command, run_program
from launch.slurm import workdir_of

_DETAILS = """\
examples:
  python -m launch.gke --name=anime --image=REGISTRY/jaxstyle --claim=runs \\
      --gpu=nvidia-l4 --chips_per_node=4 --nodes=2 -- \\
      python -m jaxstyle.main --config=configs/anime.py --workdir=/shared/runs/anime \\
      --config.data.cache_dir=/shared/cache
  python -m launch.gke --name=anime --image=REGISTRY/jaxstyle --claim=runs \\
      --tpu=tpu-v6e-slice --topology=4x4 --chips_per_node=4 --dry_run -- \\
      python -m jaxstyle.main --config=configs/anime.py --workdir=/shared/runs/anime \\
      --config.data.cache_dir=/shared/cache

The cluster needs JobSet, and the claim a volume that all nodes may write (ReadWriteMany), such as
Filestore: it is mounted on /shared, the only folder that outlives a pod, so that workdir and data
go there; and the cache, or else scenes are rendered again at each start. launch/Dockerfile makes
the image.
kubectl delete jobset NAME ends it, saving first; the same command again goes on from there.
"""

_TEMPLATE = Path(__file__).with_name("gke_jobset.yaml")
_SHARED = "/shared"  # where the template mounts the claim
_PORT = 8476  # of the coordinator; any that is free

# With the names of its pods, NAME-workers-0-INDEX, it must be a host name.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_TOPOLOGY = re.compile(r"[1-9]\d*(x[1-9]\d*){1,2}")


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of the cluster.

    image: of the container. claim: the persistent volume claim mounted on /shared. gpu or tpu: the
    accelerator, as GKE labels its nodes; neither is CPUs. chips_per_node: GPUs or TPU chips of each
    node. nodes: how many, except of a TPU slice, whose topology (such as 4x4) tells.
    """

    name: str
    image: str
    claim: str
    gpu: str = ""
    tpu: str = ""
    topology: str = ""
    chips_per_node: int = 0
    nodes: int = 1
    spot: bool = False


def node_count(job: Job) -> int:
    """Returns how many nodes the job runs on: for a TPU slice its chips over those of a node.

    Raises `UserError` for a topology that is none, or that nodes of so many chips cannot make up.
    """
    if not job.tpu:
        return job.nodes
    if not _TOPOLOGY.fullmatch(job.topology):
        raise UserError(f"--topology={job.topology} is not of the form 4x4 or 2x2x4")
    chips = math.prod(map(int, job.topology.split("x")))
    nodes, rest = divmod(chips, job.chips_per_node)
    if rest:
        raise UserError(
            f"--topology={job.topology} is {chips} chips, no multiple of --chips_per_node="
            f"{job.chips_per_node}"
        )
    return nodes


def jobset(job: Job, command: Sequence[str]) -> str:
    """Returns the JobSet that runs `command` as `job`, in YAML.

    Raises `UserError` for a name or a topology that Kubernetes would not take, and for a command
    whose --workdir would be lost with its pod.
    """
    workdir = workdir_of(command)
    if not posixpath.normpath(workdir).startswith(f"{_SHARED}/"):
        raise UserError(
            f"--workdir={workdir} would be lost with its pod; give one in {_SHARED}, where the "
            "volume is"
        )
    if not _NAME.fullmatch(job.name):
        raise UserError(
            f"--name={job.name} is no name for pods: at most 40 of a-z, 0-9 and -, a letter first"
        )
    selector, tolerations, limits = {}, [], {}
    if job.gpu:
        selector["cloud.google.com/gke-accelerator"] = job.gpu
        limits["nvidia.com/gpu"] = job.chips_per_node
    if job.tpu:
        selector["cloud.google.com/gke-tpu-accelerator"] = job.tpu
        selector["cloud.google.com/gke-tpu-topology"] = job.topology
        limits["google.com/tpu"] = job.chips_per_node
    if job.spot:
        spot = "cloud.google.com/gke-spot"
        selector[spot] = "true"
        tolerations.append(
            {"key": spot, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
        )
    # A slice is one node pool: pods on the nodes of two could not reach each other's chips.
    exclusive = {
        "alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool",
    }
    values = {
        "name": job.name,
        "image": job.image,
        "claim": job.claim,
        "annotations": exclusive if job.tpu else {},
        "nodes": node_count(job),
        "node_selector": selector,
        "tolerations": tolerations,
        "limits": limits,
        "coordinator": f"{job.name}-workers-0-0.{job.name}:{_PORT}",
        # Without its accelerator a run fails, rather than to train on the CPU, for days.
        "platforms": "cuda,cpu" if job.gpu else "tpu,cpu" if job.tpu else "cpu",
        # Kubernetes would put variables in.
        "command": [word.replace("$(", "$$(") for word in command],
    }
    # JSON is YAML on one line.
    text = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    return string.Template(_TEMPLATE.read_text()).substitute(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    if not args.command:
        parser.error("no command to run: give one after --")
    if args.gpu and args.tpu:
        parser.error("--gpu and --tpu exclude each other")
    if bool(args.gpu or args.tpu) != bool(args.chips_per_node):
        parser.error("--chips_per_node goes with --gpu or --tpu")
    if args.tpu and args.nodes:
        parser.error("--nodes of a TPU slice follow from its --topology")
    if bool(args.tpu) != bool(args.topology):
        parser.error("--topology goes with --tpu")
    return run_command(_launch, args, interrupted="see kubectl get jobsets for whether it was sent")


def _launch(args: argparse.Namespace) -> None:
    job = Job(
        name=args.name,
        image=args.image,
        claim=args.claim,
        gpu=args.gpu,
        tpu=args.tpu,
        topology=args.topology,
        chips_per_node=args.chips_per_node or 0,
        nodes=args.nodes or 1,
        spot=args.spot,
    )
    text = jobset(job, args.command)
    if args.dry_run:
        print(text, end="")
        return
    if not shutil.which("kubectl"):
        raise UserError("there is no kubectl here; install it, or try --dry_run")
    # A JobSet cannot be changed, so that `apply` would only be refused with more words.
    create = ["kubectl", "create", "--filename=-"]
    done = subprocess.run(create, input=text, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"kubectl refused the JobSet: {reason}")
    print(f"its log: kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name={job.name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m launch.gke",
        usage="%(prog)s [options] -- python -m jaxstyle.main --config=... --workdir=...",
        description="Creates a JobSet that trains on nodes of GKE, starts again after preemption,\n"
        "and ends when the run is finished.",
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    number: dict[str, Any] = {"type": positive_int, "metavar": "N"}
    parser.add_argument("command", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--name", required=True, help="of the JobSet")
    parser.add_argument("--image", required=True, help="of the container")
    parser.add_argument("--claim", required=True, help="the volume claim mounted on /shared")
    parser.add_argument("--gpu", default="", help="as GKE has it: nvidia-l4, nvidia-h100-80gb ...")
    parser.add_argument("--tpu", default="", help="as GKE has it: tpu-v6e-slice ...")
    parser.add_argument("--topology", default="", help="of the TPU slice: 2x4, 2x2x4 ...")
    parser.add_argument("--chips_per_node", help="GPUs, or chips of the TPU", **number)
    parser.add_argument("--nodes", help="how many, of GPUs or CPUs (1)", **number)
    parser.add_argument("--spot", action="store_true", help="on spot nodes")
    parser.add_argument("--dry_run", action="store_true", help="print the JobSet, no more")
    return parser


if __name__ == "__main__":
    run_program(main)
