"""launch/tpu_vm.sh: the commands it gives, and a whole run on machines that are folders."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "launch" / "tpu_vm.sh"
GOLDEN = Path(__file__).parent / "golden"
BASH = shutil.which("bash")

SLICE = ("--name=anime", "--zone=us-east1-d", "--type=v6e-16")
TRAIN = ("python", "-m", "jaxstyle.main", "--config=configs/anime.py", "--workdir=runs/anime")

# Google's side: $CLOUD/state is the slice's, $CLOUD/0 and $CLOUD/1 are its machines' homes. What
# $CLOUD/next holds, one a line, becomes its state each time it is asked for while there is more.
GCLOUD = r"""
[[ "$1 $2" == "compute tpus" ]] || exit 64
verb="$3 $4" name=$5
echo "$verb" >>"$CLOUD/verbs"
shift 5
for word in "$@"; do
    case "$word" in
    --worker=*) worker=${word#*=} ;;
    --command=*) command=${word#*=} ;;
    esac
done
[[ ${worker-} == all ]] && workers="0 1" || workers=${worker-}
case "$verb" in
"queued-resources create")
    mkdir -p "$CLOUD/0" "$CLOUD/1"
    echo "$*" >"$CLOUD/created"
    echo ACTIVE >"$CLOUD/state"
    ;;
"queued-resources describe")
    if [[ -s $CLOUD/next ]]; then
        sed -n 1p "$CLOUD/next" >"$CLOUD/state"
        sed -i 1d "$CLOUD/next"
    fi
    cat "$CLOUD/state"
    ;;
"queued-resources delete") rm -rf "$CLOUD"/state "$CLOUD"/[01] ;;
"tpu-vm ssh")
    pids=()
    for worker in $workers; do
        (cd "$CLOUD/$worker" && HOME=$CLOUD/$worker WORKER=$worker exec bash -c "$command") &
        pids+=($!)
    done
    status=0
    for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
    exit "$status"
    ;;
"tpu-vm scp")
    # Sources and then the target, of which the first was taken for a name above.
    paths=()
    for word in "$name" "$@"; do [[ $word == --* ]] || paths+=("$word"); done
    target=${paths[${#paths[@]} - 1]}
    unset 'paths[${#paths[@]}-1]'
    for worker in $workers; do
        for path in "${paths[@]}"; do
            cp -r "${path/#anime:/$CLOUD/$worker/}" "${target/#anime:/$CLOUD/$worker/}"
        done
    done
    ;;
*) exit 64 ;;
esac
"""

# Notes what it was given, and on worker 0 its start in the workdir; ends as told.
PROGRAM = r"""
# In one write: the machines share the file.
line=$(printf '%s|' "$@")
echo "$line" >>"$CLOUD/arguments"
[[ $WORKER == 0 ]] || exit 0
mkdir -p runs/anime
echo started >>runs/anime/log
exit "$(cat "$CLOUD/exit" 2>/dev/null || echo 0)"
"""


def executable(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{BASH}\n{script}\n")
    path.chmod(0o755)


class Launcher:
    """A checkout whose local.sh is a stand-in, and a gcloud that is one, too."""

    def __init__(self, folder: Path):
        self.checkout, self.cloud, self.bin = (folder / name for name in ("out", "cloud", "bin"))
        self.cloud.mkdir()
        (self.checkout / "launch").mkdir(parents=True)
        shutil.copy(SCRIPT, self.checkout / "launch")
        executable(self.checkout / "launch" / "local.sh", '[[ $1 == true ]] && exit\nexec "$@"')
        (self.checkout / ".venv").mkdir()
        executable(self.bin / "gcloud", GCLOUD)
        executable(self.bin / "program", PROGRAM)
        executable(self.bin / "python3.12", "true")
        executable(self.bin / "sleep", f"{shutil.which('sleep')} 0.1")  # polls fast

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.checkout / "launch" / "tpu_vm.sh", *arguments],
            env={"PATH": f"{self.bin}:{os.environ['PATH']}", "CLOUD": str(self.cloud)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a process group of its own, as a terminal gives
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        try:
            stdout, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def train(self, *options: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
        return self.run(*SLICE, *options, "--", "program", "--workdir=runs/anime", *words)

    def verbs(self) -> list[str]:
        path = self.cloud / "verbs"
        return path.read_text().splitlines() if path.exists() else []

    def log(self) -> list[str]:
        return (self.checkout / "runs" / "anime" / "log").read_text().split()


@pytest.fixture
def launcher(tmp_path) -> Launcher:
    return Launcher(tmp_path)


# ---- The commands --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tpu_vm.txt", ()),
        ("tpu_vm_spot.txt", ("--spot", "--nfs=10.0.0.2:/share", "--runtime_version=v2", "--keep")),
    ],
)
def test_a_dry_run_prints_the_golden_commands_and_gives_none(launcher, name, options):
    odd = "--config.data.style=it's; a $b"
    done = launcher.run(*SLICE, *options, "--dry_run", "--", *TRAIN, odd)
    assert done.returncode == 0, done.stderr
    said = done.stdout.replace(str(launcher.checkout), "/home/me/jaxstyle")
    assert said == (GOLDEN / name).read_text()
    assert launcher.verbs() == []


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*SLICE, "--dry_run"), "no command"),
        (("--name=x", "--", *TRAIN), "--zone and --type are needed"),
        ((*SLICE, "--nosuch", "--", *TRAIN), "--nosuch"),
        ((*SLICE, "--", "python"), "--workdir=runs/NAME"),
        ((*SLICE, "--", "python", "--workdir=/abs/path"), "--workdir=runs/NAME"),
        ((*SLICE, "--", "python", "--workdir=runs/../.."), "--workdir=runs/NAME"),
        ((*SLICE, "--spot", "--", *TRAIN), "--spot needs --nfs"),
        ((*SLICE, "--nfs=here", "--", *TRAIN), "HOST:/EXPORT"),
        ((*SLICE[:2], "--type=v9-8", "--", *TRAIN), "--runtime_version"),
    ],
)
def test_refusals_are_one_line_and_ask_for_nothing(launcher, arguments, said):
    done = launcher.run(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert launcher.verbs() == []


def test_help_tells_all_options(launcher):
    done = launcher.run("--help")
    assert done.returncode == 0
    for option in ("--name", "--runtime_version", "--nfs", "--spot", "--keep", "--dry_run"):
        assert f"  {option}" in done.stdout
    assert "#" not in done.stdout
    assert "set -" not in done.stdout


# ---- Whole runs ----------------------------------------------------------------------------------


def test_it_trains_on_all_workers_fetches_and_deletes(launcher):
    done = launcher.train(words=("a b", "it's", "$HOME", "*", ""))
    assert done.returncode == 0, done.stderr
    line = "--workdir=runs/anime|a b|it's|$HOME|*||"
    assert (launcher.cloud / "arguments").read_text().splitlines() == [line, line]
    assert launcher.log() == ["started"]
    assert launcher.verbs()[-1] == "queued-resources delete"
    assert not (launcher.cloud / "state").exists()


def test_neither_environments_nor_other_runs_are_copied(launcher):
    (launcher.checkout / "runs" / "other").mkdir(parents=True)
    assert launcher.train("--keep").returncode == 0
    copied = launcher.cloud / "1" / "jaxstyle"
    assert [path.name for path in copied.iterdir()] == ["launch"]


def test_the_same_command_again_goes_on_elsewhere(launcher):
    """The slice is another, whose workers get what the first has trained."""
    for times in (1, 2):
        assert launcher.train().returncode == 0
        assert launcher.log() == ["started"] * times


def test_after_a_failure_the_slice_is_kept_and_gone_on_with(launcher):
    (launcher.cloud / "exit").write_text("3")
    done = launcher.train()
    assert done.returncode != 0
    assert launcher.log() == ["started"]  # fetched all the same
    assert "is kept, and costs" in done.stderr
    assert "gcloud compute tpus queued-resources delete anime --zone=us-east1-d" in done.stderr
    assert (launcher.cloud / "state").exists()
    (launcher.cloud / "exit").unlink()
    # As of a fetch that was lost: the slice knows better.
    (launcher.checkout / "runs" / "anime" / "log").write_text("")
    assert launcher.train().returncode == 0
    assert launcher.log() == ["started", "started"]
    assert launcher.verbs().count("queued-resources create") == 1


def test_it_waits_in_the_queue(launcher):
    states = ["", "WAITING_FOR_RESOURCES", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
    (launcher.cloud / "next").write_text("\n".join(states) + "\n")
    done = launcher.train()
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("anime: ")]
    assert said == ["anime: WAITING_FOR_RESOURCES", "anime: PROVISIONING"]


def test_a_request_that_fails_is_told(launcher):
    (launcher.cloud / "next").write_text("\nFAILED\n")
    done = launcher.train()
    assert done.returncode == 1
    assert "error: anime is FAILED" in done.stderr
    assert "tpu-vm ssh" not in launcher.verbs()


def test_a_preempted_slice_is_replaced(launcher):
    """The NFS, and the rights to mount it, are stand-ins."""
    for name in ("sudo", "mountpoint"):
        executable(launcher.bin / name, "true")
    (launcher.cloud / "exit").write_text("255")
    # Nothing there, created; after the failure suspended, then nothing again, created; the end.
    (launcher.cloud / "next").write_text("\nACTIVE\nSUSPENDED\n\nACTIVE\nACTIVE\n")
    done = launcher.train("--spot", "--nfs=10.0.0.2:/share")
    assert "anime was preempted: asking for another" in done.stdout
    assert launcher.verbs().count("queued-resources create") == 2
    assert "--spot" in (launcher.cloud / "created").read_text().split()
    # The second failed with its slice still there, which is not preemption.
    assert done.returncode == 255
    assert launcher.verbs().count("queued-resources delete") == 1


# A trainer that saves and ends when it is told to.
POLITE = r"""
trap 'echo saved >>runs/anime/log; exit 143' TERM
mkdir -p runs/anime
echo started >>runs/anime/log
touch "$CLOUD/$WORKER.up"
while true; do sleep 0.1; done
"""


def test_ctrl_c_has_the_run_save(launcher):
    executable(launcher.bin / "program", POLITE)
    process = launcher.start(*SLICE, "--", "program", "--workdir=runs/anime")
    try:
        end = time.monotonic() + 20
        while not all((launcher.cloud / f"{worker}.up").exists() for worker in (0, 1)):
            assert time.monotonic() < end
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 143
    assert launcher.log() == ["started", "saved"]
    assert "is kept, and costs" in stderr
