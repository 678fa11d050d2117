"""Published weights become bundles: AnimeGANv2 against a forward pass in NumPy on the published
names (that of MicroAST is in models/test_microast.py), the rest by what is written and said."""

import os
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxstyle.convert.__main__ import main
from jaxstyle.inference.bundle import load_bundle

pytestmark = pytest.mark.slow


def animegan2_shapes():
    """The published tensors, in the order of the layers."""

    def conv_norm(name, inputs, outputs, k, depthwise=False):
        shapes = {f"{name}.1.weight": (outputs, 1 if depthwise else inputs, k, k)}
        if depthwise:
            shapes[f"{name}.1.bias"] = (outputs,)
        return shapes | {f"{name}.2.weight": (outputs,), f"{name}.2.bias": (outputs,)}

    shapes = {}
    for name, inputs, outputs, k in (
        ("block_a.0", 3, 32, 7),
        ("block_a.1", 32, 64, 3),
        ("block_a.2", 64, 64, 3),
        ("block_b.0", 64, 128, 3),
        ("block_b.1", 128, 128, 3),
        ("block_c.0", 128, 128, 3),
        ("block_c.5", 256, 128, 3),
        ("block_d.0", 128, 128, 3),
        ("block_d.1", 128, 128, 3),
        ("block_e.0", 128, 64, 3),
        ("block_e.1", 64, 64, 3),
        ("block_e.2", 64, 32, 7),
    ):
        shapes |= conv_norm(name, inputs, outputs, k)
    for i in range(1, 5):
        name, inputs = f"block_c.{i}.layers", 128 if i == 1 else 256
        shapes |= conv_norm(f"{name}.0", inputs, 2 * inputs, 1)
        shapes |= conv_norm(f"{name}.1", 2 * inputs, 2 * inputs, 3, depthwise=True)
        shapes[f"{name}.2.weight"] = (256, 2 * inputs, 1, 1)
        shapes |= {f"{name}.3.weight": (256,), f"{name}.3.bias": (256,)}
    return shapes | {"out_layer.0.weight": (3, 32, 1, 1)}


def microast_shapes():
    def convs(shapes):
        return {f"{k}.conv_layer.weight": shape for k, shape in shapes.items()} | {
            f"{k}.conv_layer.bias": shape[:1] for k, shape in shapes.items()
        }

    def residual(*names):
        return {f"{name}.conv{i}": (64, 64, 3, 3) for name in names for i in (1, 2)}

    encoder = {"enc1.0": (16, 3, 9, 9), "enc1.2": (32, 1, 3, 3), "enc1.4": (32, 32, 1, 1)}
    encoder |= {"enc1.6": (64, 1, 3, 3), "enc1.8": (64, 64, 1, 1)}
    encoder = convs(encoder | residual("enc1.10", "enc2.0"))
    decoder = {"dec3.1": (32, 2, 3, 3), "dec3.3": (32, 32, 1, 1), "dec3.6": (16, 2, 3, 3)}
    decoder |= {"dec3.8": (16, 16, 1, 1), "dec3.10": (3, 16, 9, 9)}
    return {
        "content_encoder": encoder,
        "style_encoder": encoder,
        "modulator": convs(
            {f"{n}{i}.0": (64, 1, 3, 3) for n in ("weight", "bias") for i in (1, 2)}
        ),
        "decoder": convs(decoder | residual("dec1", "dec2")),
    }


def random_tensors(shapes, seed=0):
    rng = np.random.default_rng(seed)
    tensors = {}
    for name, shape in shapes.items():
        if len(shape) > 1:  # kernels that keep the size of what they are given
            value = rng.normal(0, np.prod(shape[1:]) ** -0.5, shape)
        else:  # gains near one, biases near zero
            value = rng.normal(name.endswith("weight"), 0.1, shape)
        tensors[name] = value.astype(np.float32)
    return tensors


def animegan2(weights, x, align_corners):
    """The published forward pass in NumPy: [3, H, W] in [-1, 1] to the same."""

    def conv(name, x, stride=1):
        kernel = weights[f"{name}.weight"].astype(np.float64)
        k, groups = kernel.shape[-1], x.shape[0] // kernel.shape[1]
        beside = (0, 1) if stride == 2 else (k // 2, k // 2)
        x = np.pad(x, ((0, 0), beside, beside), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
        windows = windows[:, ::stride, ::stride]
        if groups == 1:
            return np.einsum("chwij,fcij->fhw", windows, kernel, optimize=True)
        return np.einsum("chwij,cij->chw", windows, kernel[:, 0])

    def norm(name, x):
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return x * per_channel(f"{name}.weight") + per_channel(f"{name}.bias")

    def per_channel(name):
        return weights[name][:, None, None] if name in weights else 0

    def conv_norm_leaky(name, x, stride=1):
        x = norm(f"{name}.2", conv(f"{name}.1", x, stride) + per_channel(f"{name}.1.bias"))
        return np.maximum(x, 0.2 * x)

    def double(x):
        for axis in (1, 2):
            n = x.shape[axis]
            at = np.linspace(0, n - 1, 2 * n) if align_corners else np.arange(-0.25, n - 0.5, 0.5)
            x = np.apply_along_axis(lambda v, at=at: np.interp(at, np.arange(v.size), v), axis, x)
        return x

    for name in ("a.0", "a.1", "a.2", "b.0", "b.1", "c.0"):
        x = conv_norm_leaky(f"block_{name}", x, stride=2 if name in ("a.1", "b.0") else 1)
    for i in range(1, 5):
        name = f"block_c.{i}.layers"
        y = conv_norm_leaky(f"{name}.1", conv_norm_leaky(f"{name}.0", x))
        y = norm(f"{name}.3", conv(f"{name}.2", y))
        x = y if i == 1 else x + y
    x = double(conv_norm_leaky("block_c.5", x))
    x = double(conv_norm_leaky("block_d.1", conv_norm_leaky("block_d.0", x)))
    for i in range(3):
        x = conv_norm_leaky(f"block_e.{i}", x)
    return np.tanh(conv("out_layer.0", x))


@pytest.fixture
def animegan2_file(tmp_path):
    path = tmp_path / "paprika.npz"
    np.savez(path, **random_tensors(animegan2_shapes()))
    return path


@pytest.fixture
def microast_files(tmp_path):
    paths = {}
    for seed, (part, shapes) in enumerate(microast_shapes().items()):
        paths[part] = tmp_path / f"{part}_iter_1.npz"
        np.savez(paths[part], **random_tensors(shapes, seed))
    return paths


def convert(*arguments):
    return main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit):
        convert(*arguments)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("align_corners", [False, True])
def test_animegan2_computes_what_the_published_generator_does(
    tmp_path, animegan2_file, align_corners
):
    out = tmp_path / "out.safetensors"
    options = ["--align_corners"] if align_corners else []
    assert convert(animegan2_file, out, "--licence=CC0-1.0", *options) == 0
    bundle = load_bundle(out)
    assert bundle.metadata["name"] == "out"
    assert bundle.metadata["licence"] == "CC0-1.0"
    assert bundle.metadata["converted_from"] == ["paprika.npz"]
    x = np.random.default_rng(1).uniform(-1, 1, (24, 20, 3)).astype(np.float32)
    weights = dict(np.load(animegan2_file))
    expected = animegan2(weights, x.transpose(2, 0, 1), align_corners).transpose(1, 2, 0)
    output = bundle.generator.apply({"params": bundle.parameters}, jnp.asarray(x)[None])[0]
    np.testing.assert_allclose(output, expected, atol=1e-3)


def test_microast_is_put_together_from_its_files_in_any_order(tmp_path, microast_files):
    out = tmp_path / "out.safetensors"
    order = ("decoder", "style_encoder", "content_encoder", "modulator")
    assert convert(*(microast_files[part] for part in order), out, "--name=any") == 0
    bundle = load_bundle(out)
    assert bundle.metadata["name"] == "any"
    assert bundle.metadata["generator"] == {"name": "microast"}
    for part in ("content_encoder", "style_encoder"):
        kernel = np.load(microast_files[part])["enc1.0.conv_layer.weight"]
        np.testing.assert_array_equal(
            bundle.parameters[part]["conv"]["kernel"], kernel.transpose(2, 3, 1, 0)
        )

    whole = {}
    for part, path in microast_files.items():
        whole |= {f"{part}.{name}": value for name, value in np.load(path).items()}
    save_file(whole, tmp_path / "whole.safetensors")
    again = tmp_path / "again.safetensors"
    assert convert(tmp_path / "whole.safetensors", again, "--name=any") == 0
    np.testing.assert_array_equal(
        load_bundle(again).parameters["weights_1"]["kernel"],
        bundle.parameters["weights_1"]["kernel"],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block_c.2.layers.2.weight": None}, "block_c.2.layers.2.weight is missing"),
        ({"block_f.0.1.weight": np.ones((1, 1, 1, 1))}, "block_f.0.1.weight is not a tensor of"),
        ({"block_a.0.1.weight": np.ones((32, 4, 7, 7))}, "that of animegan2 is (32, 3, 7, 7)"),
        ({"block_a.0.2.bias": np.full(32, np.nan)}, "block_a.0.2.bias holds values"),
        ({"block_a.0.2.bias": np.ones(32, object)}, "allow_pickle"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, capsys, change, message):
    tensors = random_tensors(animegan2_shapes()) | change
    source, out = tmp_path / "w.npz", tmp_path / "out.safetensors"
    np.savez(source, **{k: v for k, v in tensors.items() if v is not None})
    assert message in refusal(capsys, source, out)
    assert not out.exists()


def test_unsuitable_files_are_refused(tmp_path, capsys, microast_files, animegan2_file):
    out = tmp_path / "out.safetensors"
    parts = list(microast_files.values())
    assert "needs its modulator" in refusal(capsys, *parts[:2], parts[3], out)
    (tmp_path / "second.npz").write_bytes(parts[3].read_bytes())
    assert "both the decoder" in refusal(capsys, *parts, tmp_path / "second.npz", out)
    assert "no file" in refusal(capsys, tmp_path / "none.npz", out)
    assert "one file" in refusal(capsys, animegan2_file, parts[0], out)
    assert "--align_corners is for animegan2" in refusal(capsys, *parts, out, "--align_corners")
    unclear = parts[1].rename(tmp_path / "encoder.npz")
    assert "content_encoder or the style_encoder" in refusal(capsys, unclear, *parts[2:], out)
    np.savez(tmp_path / "other.npz", **{"conv.weight": np.ones(3)})
    assert "no known kind" in refusal(capsys, tmp_path / "other.npz", out)
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    assert "cannot be read" in refusal(capsys, tmp_path / "broken.safetensors", out)
    compressed = tmp_path / "damaged.npz"
    np.savez_compressed(compressed, a=np.arange(10_000))
    content = bytearray(compressed.read_bytes())
    content[100:1000] = bytes(900)
    compressed.write_bytes(content)
    assert "cannot be read: " in refusal(capsys, compressed, out)
    (tmp_path / "photo.png").touch()
    assert "those end in .npz, .safetensors, or, of PyTorch, .pt" in refusal(
        capsys, tmp_path / "photo.png", out
    )
    assert "must end in .safetensors" in refusal(capsys, animegan2_file, tmp_path / "out.npz")
    out.write_bytes(b"kept")
    assert "--overwrite" in refusal(capsys, animegan2_file, out)
    assert out.read_bytes() == b"kept"


def test_pytorch_files_without_pytorch_say_what_to_install(tmp_path, capsys):
    source, out = tmp_path / "w.pt", tmp_path / "out.safetensors"
    source.write_bytes(b"")
    # An interpreter that cannot have it.
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    assert "pip install torch numpy" in refusal(capsys, source, out, f"--torch_python={bare}")
    assert "does not run" in refusal(capsys, source, out, f"--torch_python={tmp_path}/none")


@pytest.fixture
def torch_python():
    python = os.environ.get("JAXSTYLE_TORCH_PYTHON")
    if not python:
        pytest.skip("JAXSTYLE_TORCH_PYTHON names no interpreter that has PyTorch")
    return python


def run_torch(python, code, *arguments):
    subprocess.run([python, "-c", code, *map(str, arguments)], check=True)


TO_PT = """
import sys, numpy, torch
tensors = {k: torch.from_numpy(v) for k, v in numpy.load(sys.argv[1]).items()}
torch.save({"state_dict": tensors} if sys.argv[3:] else tensors, sys.argv[2])
"""


@pytest.mark.parametrize("options", [[], ["--align_corners"]])
def test_pytorch_agrees_about_animegan2(tmp_path, capsys, animegan2_file, torch_python, options):
    run_torch(torch_python, TO_PT, animegan2_file, tmp_path / "w.pt", "wrapped")
    out = tmp_path / "out.safetensors"
    python = f"--torch_python={torch_python}"
    assert convert(tmp_path / "w.pt", out, python, *options) == 0
    assert "as PyTorch computes it, to " in capsys.readouterr().out
    np.testing.assert_array_equal(
        load_bundle(out).parameters["a0"]["conv"]["kernel"],
        np.load(animegan2_file)["block_a.0.1.weight"].transpose(2, 3, 1, 0),
    )


def test_pytorch_agrees_about_microast(tmp_path, capsys, microast_files, torch_python):
    python = f"--torch_python={torch_python}"
    assert convert(*microast_files.values(), tmp_path / "out.safetensors", python) == 0
    assert "as PyTorch computes it, to " in capsys.readouterr().out


def test_nothing_in_a_pytorch_file_is_executed(tmp_path, capsys, torch_python):
    code = """
import os, sys, torch
class Trap:
    def __reduce__(self): return os.mkdir, (sys.argv[2],)
torch.save({"block_a.0.1.weight": Trap()}, sys.argv[1])
"""
    source, sprung = tmp_path / "w.pt", tmp_path / "sprung"
    run_torch(torch_python, code, source, sprung)
    out, python = tmp_path / "out.safetensors", f"--torch_python={torch_python}"
    assert "not a file of PyTorch weights alone" in refusal(capsys, source, out, python)
    assert not sprung.exists()
    assert not out.exists()
