import errno
import os
import shutil
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.training import checkpoint, sharding
from jaxstyle.training.checkpoint import Checkpoints, has_checkpoint

# What some still say after another has failed.
OF_ORBAX_THREADS = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def state(step: int, mesh):
    """On the devices of all processes, if there are several."""
    rng = np.random.default_rng(step)
    arrays = {
        "step": np.asarray(step, np.int32),
        "layer": {"kernel": rng.normal(size=(3, 5)).astype(np.float32)},
        # What a sum with zeros on the way would not give back.
        "zeros": np.asarray([-0.0, 0.0, np.inf], np.float32),
        "bytes": rng.integers(0, 256, (7,), np.uint8),
        "halves": rng.normal(size=(3,)).astype(jnp.bfloat16),
        "empty": {},
    }
    return jax.jit(with_key, out_shardings=sharding.replicated(mesh))(arrays)


def with_key(arrays):
    return arrays | {"key": jax.random.key(arrays["step"])}


def one_device():
    return sharding.make_mesh(1, 1)


def write_checkpoints(workdir, steps, keep=3, mesh=None):
    checkpoints = Checkpoints(workdir, keep, {"steps": 10})
    for step in steps:
        checkpoints.save(step, state(step, mesh or one_device()), {"next_batch": step})
    checkpoints.close()


def read_newest(workdir, mesh=None, say=print):
    checkpoints = Checkpoints(workdir, keep=3)
    try:
        return checkpoints.restore(state(0, mesh or one_device()), say)
    finally:
        checkpoints.close()


def names(workdir) -> list[str]:
    return sorted(path.name for path in (workdir / "checkpoints").iterdir())


def as_bytes(tree) -> dict[str, bytes]:
    return {
        jax.tree_util.keystr(path): np.asarray(
            jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
        ).tobytes()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def assert_is(restored, step, mesh=None):
    """Bit for bit what was saved at that step, placed as asked for."""
    expected = state(step, mesh or one_device())
    assert (restored.step, restored.data_state) == (step, {"next_batch": step})
    assert jax.tree.structure(restored.state) == jax.tree.structure(expected)
    assert as_bytes(restored.state) == as_bytes(expected)
    for found, wanted in zip(*map(jax.tree.leaves, (restored.state, expected)), strict=True):
        assert (found.dtype, found.sharding) == (wanted.dtype, wanted.sharding)


# ---- What is saved is given back ---------------------------------------------------------------


@pytest.mark.parametrize("device_count", [1, 4])
def test_a_checkpoint_gives_back_what_was_saved(tmp_path, device_count):
    mesh = sharding.make_mesh(device_count, 4)
    assert read_newest(tmp_path, mesh) is None
    write_checkpoints(tmp_path, [2], mesh=mesh)
    assert_is(read_newest(tmp_path, mesh), 2, mesh)


def test_a_run_of_one_device_goes_on_with_four(tmp_path):
    write_checkpoints(tmp_path, [2])
    four = sharding.make_mesh(4, 4)
    assert_is(read_newest(tmp_path, four), 2, four)


def test_the_newest_few_are_kept(tmp_path):
    write_checkpoints(tmp_path, [1, 2, 3, 4], keep=2)
    assert names(tmp_path) == ["3", "4"]


def test_fewer_can_be_kept_than_there_are(tmp_path):
    write_checkpoints(tmp_path, [1, 2, 3], keep=3)
    write_checkpoints(tmp_path, [4], keep=1)
    assert names(tmp_path) == ["4"]


def test_a_step_can_be_saved_again(tmp_path):
    write_checkpoints(tmp_path, [2, 2])
    assert names(tmp_path) == ["2"]
    assert_is(read_newest(tmp_path), 2)


def test_a_save_may_be_followed_by_a_step_that_donates(tmp_path):
    """The write goes on in the background, while the step already computes into that memory."""
    add = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    tree = {"x": jnp.zeros(1_000_000)}
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, sharding.replicate(tree, one_device()), {})
    for _ in range(10):
        tree = add(tree)
    restored = checkpoints.restore(tree)
    checkpoints.close()
    assert float(jnp.abs(restored.state["x"]).max()) == 0.0


def test_what_an_interrupted_write_leaves_is_no_checkpoint_and_goes(tmp_path):
    write_checkpoints(tmp_path, [2])
    for name in ("3.partial", "4.partial.orbax-checkpoint-tmp", "1.old.partial"):
        shutil.copytree(tmp_path / "checkpoints" / "2", tmp_path / "checkpoints" / name)
    assert_is(read_newest(tmp_path), 2)
    assert names(tmp_path) == ["2"]


def test_a_workdir_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot make the folder .*file.*--workdir"):
        Checkpoints(tmp_path / "file", keep=1)


# ---- Damage ------------------------------------------------------------------------------------


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


DAMAGES = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: os.truncate(path, 0),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "flipped": flip_a_bit,
}


@pytest.fixture(scope="module")
def two_checkpoints(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("two")
    write_checkpoints(workdir, [2, 4])
    return workdir


def files_of(folder) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_to_any_file_is_noticed_and_the_older_one_taken(two_checkpoints, tmp_path, kind):
    files = files_of(two_checkpoints / "checkpoints" / "4")
    assert len(files) > 5
    for number, name in enumerate(files):
        if (kind, name) == ("missing", "sha256.json"):
            continue  # as of a run from before there were checksums, see below
        workdir = tmp_path / str(number)
        shutil.copytree(two_checkpoints, workdir)
        DAMAGES[kind](workdir / "checkpoints" / "4" / name)
        said = []
        assert_is(read_newest(workdir, say=said.append), 2)
        [line] = said
        assert name in line or name == "sha256.json"
        assert "step 4 is damaged" in line
        assert "set aside as 4.damaged" in line
        # Kept for a person to look at, in a place where it is in nobody's way.
        assert names(workdir) == ["2", "4.damaged"]
        assert files_of(workdir / "checkpoints" / "4.damaged")
        assert_is(read_newest(workdir), 2)


@OF_ORBAX_THREADS
@pytest.mark.parametrize("kind", ["missing", "empty", "cut"])
def test_without_checksums_nothing_else_than_what_was_saved_comes_back(
    two_checkpoints, tmp_path, kind
):
    """Of an older version; some of its files are not needed."""
    for number, name in enumerate(files_of(two_checkpoints / "checkpoints" / "4")):
        workdir = tmp_path / str(number)
        shutil.copytree(two_checkpoints, workdir)
        for step in ("2", "4"):
            (workdir / "checkpoints" / step / "sha256.json").unlink()
        path = workdir / "checkpoints" / "4" / name
        if path.exists():
            DAMAGES[kind](path)
        restored = read_newest(workdir)
        assert_is(restored, restored.step)


def test_a_step_that_was_set_aside_is_saved_and_set_aside_again(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    for aside in (["4.damaged"], ["4.damaged", "4.damaged.2"]):
        flip_a_bit(tmp_path / "checkpoints" / "4" / "sha256.json")
        assert_is(read_newest(tmp_path), 2)
        write_checkpoints(tmp_path, [4])
        assert names(tmp_path) == ["2", "4", *aside]
        assert_is(read_newest(tmp_path), 4)


def test_if_all_are_damaged_nothing_is_touched_and_nothing_begun(two_checkpoints, tmp_path):
    shutil.copytree(two_checkpoints, tmp_path, dirs_exist_ok=True)
    for step in ("2", "4"):
        os.truncate(tmp_path / "checkpoints" / step / "state" / "_METADATA", 10)
    for _ in range(2):  # also when it is tried again
        with pytest.raises(UserError, match=r"no checkpoint in .* can be read whole \(step 4: sta"):
            read_newest(tmp_path)
        assert names(tmp_path) == ["2", "4"]
        assert has_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"more": np.zeros(2)}, "do not match"),
        ({"step": np.zeros(2, np.int32)}, r"int32\[\], not int32\[2\]"),
        ({"step": np.float32(0)}, r"int32\[\], not float32\[\]"),
    ],
)
def test_a_whole_checkpoint_of_another_version_is_not_called_damaged(
    two_checkpoints, other, difference
):
    checkpoints = Checkpoints(two_checkpoints, keep=3)
    with pytest.raises(UserError, match=rf"step 4 .*other arrays than this version.*{difference}"):
        checkpoints.restore(state(0, one_device()) | other)
    checkpoints.close()
    assert names(two_checkpoints) == ["2", "4"]


# ---- A full disk -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@OF_ORBAX_THREADS
@pytest.mark.parametrize("foreseen", [True, False])
def test_a_full_disk_costs_no_checkpoint(small_disk, monkeypatch, capfd, foreseen):
    noise = {"x": jax.random.bits(jax.random.key(0), (1_250_000,))}  # cannot be compressed
    checkpoints = Checkpoints(small_disk, keep=1)
    with monkeypatch.context() as patch:
        if not foreseen:
            # The disk fills up only while Orbax writes, which says a lot about that.
            patch.setattr(checkpoint, "check_room", lambda folder, size: None)
        checkpoints.save(1, noise, {})
        checkpoints.save(2, noise, {})
        with pytest.raises(
            UserError, match=r"step 2 .*disk.*No space left.*step 1 is safely saved"
        ):
            checkpoints.close()
    assert names(small_disk) == ["1"]
    if foreseen:
        assert capfd.readouterr().err == ""
    # Once there is room, it goes on from there.
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    checkpoints = Checkpoints(small_disk, keep=1)
    assert checkpoints.restore(noise).step == 1
    checkpoints.save(2, noise, {})
    checkpoints.close()
    assert names(small_disk) == ["2"]


def wait_for_the_writer(checkpoints):
    checkpoints._writer.submit(lambda: None).result()


def test_a_failed_write_is_told_of_once_and_the_next_may_succeed(tmp_path, monkeypatch):
    def full(folder, size):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    checkpoints = Checkpoints(tmp_path, keep=1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "check_room", full)
        checkpoints.save(5, state(5, one_device()), {"next_batch": 5})
        wait_for_the_writer(checkpoints)
        with pytest.raises(UserError, match=r"step 5 .*Disk quota.*MB are.* no checkpoint yet"):
            checkpoints.check()
    assert names(tmp_path) == []
    checkpoints.save(6, state(6, one_device()), {"next_batch": 6})
    checkpoints.close()
    assert_is(read_newest(tmp_path), 6)


# ---- Several processes -------------------------------------------------------------------------

TOGETHER = """
import sys
import jax
address, number, workdir, tests = sys.argv[1:]
jax.distributed.initialize(
    address, num_processes=2, process_id=int(number), cluster_detection_method="deactivate"
)
sys.path.insert(0, tests)
from test_checkpoint import assert_is, state
from jaxstyle.training import sharding
from jaxstyle.training.checkpoint import Checkpoints
from jaxstyle.errors import reported_in_one_line
mesh = sharding.make_mesh(4, 4)
checkpoints = Checkpoints(workdir, keep=3)
with reported_in_one_line():
    restored = checkpoints.restore(state(0, mesh))
assert_is(restored, 2, mesh)
checkpoints.save(4, state(4, mesh), {"next_batch": 4})
checkpoints.close()
"""


def run_together(workdirs) -> list[subprocess.CompletedProcess]:
    """Two processes of two devices each; they need not see the same disk."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    running = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                TOGETHER,
                address,
                str(number),
                workdir,
                os.path.dirname(__file__),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, workdir in enumerate(workdirs)
    ]
    try:
        told = [process.communicate(timeout=120) for process in running]
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return [
        subprocess.CompletedProcess(process.args, process.returncode, *texts)
        for process, texts in zip(running, told, strict=True)
    ]


@pytest.mark.slow
def test_one_process_and_several_take_over_from_each_other(tmp_path):
    """Bit for bit, and the disk of the first is enough."""
    first, second = tmp_path / "first", tmp_path / "second"
    write_checkpoints(first, [2])
    for process in run_together([first, second]):
        assert process.returncode == 0, process.stderr
    assert not second.exists()
    assert names(first) == ["2", "4"]
    for device_count in (1, 2, 4):
        mesh = sharding.make_mesh(device_count, 4)
        assert_is(read_newest(first, mesh), 4, mesh)


@pytest.mark.slow
def test_if_the_first_process_cannot_restore_none_waits_for_it(tmp_path):
    write_checkpoints(tmp_path, [2])
    os.truncate(tmp_path / "checkpoints" / "2" / "data" / "metadata", 0)
    first, second = run_together([tmp_path, tmp_path])
    assert (first.returncode, second.returncode) == (1, 1)
    assert "no checkpoint" in first.stderr
    assert "can be read whole" in first.stderr
    assert "it says why" in second.stderr
