"""The JobSet: its text, and what Kubernetes would make of it."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from jaxstyle.errors import UserError
from launch import gke
from launch.gke import Job, jobset, node_count

GOLDEN = Path(__file__).parent / "golden"
TRAIN = ("python", "-m", "jaxstyle.main", "--config=configs/anime.py", "--workdir=/shared/anime")
GPUS = Job("anime", "example.com/jaxstyle:1", "runs", gpu="nvidia-l4", chips_per_node=4, nodes=2)
TPU = Job(
    "anime",
    "example.com/jaxstyle:1",
    "runs",
    tpu="tpu-v6e-slice",
    topology="4x4",
    chips_per_node=4,
    spot=True,
)
OPTIONS = ["--name=anime", "--image=example.com/jaxstyle:1", "--claim=runs"]


def parts(job: Job, command=TRAIN) -> tuple[dict, dict, dict]:
    """(the JobSet, the Job in it, the pod of that)."""
    whole = yaml.safe_load(jobset(job, command))
    [replicated] = whole["spec"]["replicatedJobs"]
    assert replicated["replicas"] == 1
    inner = replicated["template"]["spec"]
    return whole, inner, inner["template"]["spec"]


def environment(pod: dict) -> dict[str, str]:
    [container] = pod["containers"]
    return {entry["name"]: entry.get("value") for entry in container["env"]}


@pytest.mark.parametrize(("name", "job"), [("gke_gpus.yaml", GPUS), ("gke_tpu.yaml", TPU)])
def test_the_jobset_is_the_golden_one(name, job):
    assert jobset(job, TRAIN) == (GOLDEN / name).read_text()


@pytest.mark.parametrize(("job", "nodes"), [(GPUS, 2), (TPU, 4)])
def test_every_node_has_one_pod_and_each_pod_its_process(job, nodes):
    _, inner, pod = parts(job)
    assert inner["completionMode"] == "Indexed"
    assert inner["completions"] == inner["parallelism"] == nodes
    assert environment(pod)["JAX_NUM_PROCESSES"] == str(nodes)
    [process] = [e for e in pod["containers"][0]["env"] if e["name"] == "JAX_PROCESS_ID"]
    field = process["valueFrom"]["fieldRef"]["fieldPath"]
    assert field == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_the_coordinator_is_the_first_pod_by_the_name_that_jobset_gives_it():
    """JOBSET-REPLICATEDJOB-JOBINDEX-PODINDEX.SUBDOMAIN; the subdomain is the JobSet's name."""
    whole, _, pod = parts(GPUS)
    job = whole["spec"]["replicatedJobs"][0]["name"]
    address = environment(pod)["JAX_COORDINATOR_ADDRESS"]
    assert address.partition(":")[0] == f"anime-{job}-0-0.anime"
    assert whole["spec"]["network"]["enableDNSHostnames"]
    assert whole["spec"]["network"]["publishNotReadyAddresses"]


def test_a_pod_gets_all_chips_of_its_node():
    _, _, pod = parts(GPUS)
    assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}
    assert environment(pod)["JAX_PLATFORMS"] == "cuda,cpu"
    whole, _, pod = parts(TPU)
    assert pod["containers"][0]["resources"]["limits"] == {"google.com/tpu": 4}
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "4x4"
    assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert pod["tolerations"][0]["key"] == "cloud.google.com/gke-spot"
    assert environment(pod)["JAX_PLATFORMS"] == "tpu,cpu"
    assert whole["metadata"]["annotations"]


def test_without_an_accelerator_it_trains_on_cpus():
    _, _, pod = parts(Job("x", "image", "claim", nodes=3))
    assert environment(pod)["JAX_PLATFORMS"] == "cpu"
    assert environment(pod)["JAX_NUM_PROCESSES"] == "3"
    assert not pod["containers"][0]["resources"]["limits"]


def test_all_pods_start_again_together_and_have_time_to_save():
    whole, inner, pod = parts(GPUS)
    assert inner["backoffLimit"] == 0
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60
    policy = whole["spec"]["failurePolicy"]
    assert policy["maxRestarts"] > 0
    assert policy["restartStrategy"] == "BlockingRecreate"
    # 128 + SIGTERM, as training ends when it has saved.
    codes = [rule["onExitCodes"] for rule in inner["podFailurePolicy"]["rules"][1:]]
    assert codes == [{"operator": "In", "values": [143]}]


def test_the_command_is_what_was_given():
    odd = ("echo", "a b", "it's", '"', "$HOME", "$(HOME)", "ü", "--workdir=/shared/x")
    _, _, pod = parts(GPUS, odd)
    # Kubernetes replaces $(NAME), and $$( by $(.
    assert [word.replace("$$(", "$(") for word in pod["containers"][0]["command"]] == list(odd)
    assert "$$(HOME)" in pod["containers"][0]["command"]


@pytest.mark.parametrize(("topology", "chips", "nodes"), [("2x4", 8, 1), ("2x2x4", 4, 4)])
def test_a_slice_has_as_many_nodes_as_its_chips_need(topology, chips, nodes):
    assert node_count(dataclasses.replace(TPU, topology=topology, chips_per_node=chips)) == nodes


@pytest.mark.parametrize("topology", ["16", "4x", "0x4", "4x4x4x4", "3x3"])
def test_a_topology_that_is_none_is_refused(topology):
    with pytest.raises(UserError, match=f"--topology={topology}"):
        node_count(dataclasses.replace(TPU, topology=topology))


@pytest.mark.parametrize("name", ["Anime", "1st", "a_b", "a-", "a" * 41, ""])
def test_a_name_that_pods_cannot_have_is_refused(name):
    with pytest.raises(UserError, match="--name="):
        jobset(dataclasses.replace(GPUS, name=name), TRAIN)


@pytest.mark.parametrize("workdir", ["runs/q", "/data/q", "/shared", "/shared/../q", "/sharedq/a"])
def test_a_workdir_that_is_lost_with_its_pod_is_refused(workdir):
    with pytest.raises(UserError, match=f"--workdir={workdir} would be lost"):
        jobset(GPUS, [*TRAIN[:-1], f"--workdir={workdir}"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--gpu=nvidia-l4", "--tpu=tpu-v6e-slice"], "exclude"),
        (["--gpu=nvidia-l4"], "--chips_per_node"),
        (["--tpu=tpu-v6e-slice", "--chips_per_node=4"], "--topology"),
        (["--tpu=x", "--chips_per_node=4", "--topology=4x4", "--nodes=2"], "--nodes"),
    ],
)
def test_options_that_do_not_fit_together(options, said, capsys):
    with pytest.raises(SystemExit):
        gke.main([*OPTIONS, *options, "--", *TRAIN])
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Puts a kubectl on PATH, alone, that keeps what it is given and then does as told."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(then: str) -> Path:
        path = tmp_path / "kubectl"
        script = f'echo "$@" >"{tmp_path}/asked"\nwhile read -r line; do echo "$line"; done'
        path.write_text(f'#!/bin/sh\n{script} >"{tmp_path}/text"\n{then}\n')
        path.chmod(0o755)
        return tmp_path

    return install


def test_it_is_sent_to_the_cluster(kubectl, capsys):
    folder = kubectl("exit 0")
    assert gke.main([*OPTIONS, "--nodes=2", "--", *TRAIN]) == 0
    assert (folder / "asked").read_text() == "create --filename=-\n"
    sent = [line.strip() for line in (folder / "text").read_text().splitlines()]
    expected = jobset(Job("anime", "example.com/jaxstyle:1", "runs", nodes=2), TRAIN)
    assert sent == [line.strip() for line in expected.splitlines()]
    assert "kubectl logs" in capsys.readouterr().out


def test_a_dry_run_prints_it(kubectl, capsys):
    folder = kubectl("exit 0")
    assert gke.main([*OPTIONS, "--dry_run", "--", *TRAIN]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["kind"] == "JobSet"
    assert not (folder / "asked").exists()


def test_refusals_are_one_line(kubectl, capsys, monkeypatch):
    kubectl("echo 'error: no cluster' >&2; exit 1")
    with pytest.raises(SystemExit):
        gke.main([*OPTIONS, "--", *TRAIN])
    assert capsys.readouterr().err == "error: kubectl refused the JobSet: error: no cluster\n"
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit):
        gke.main([*OPTIONS, "--", *TRAIN])
    assert capsys.readouterr().err.startswith("error: there is no kubectl here")
