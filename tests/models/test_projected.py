import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxstyle.errors import UserError
from jaxstyle.models import build_discriminator

LAYERS = ("shallow", "deep")


@pytest.fixture(scope="module")
def maps():
    rng = np.random.default_rng(0)
    shapes = {"shallow": (2, 6, 8, 5), "deep": (2, 3, 4, 7)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def started(maps, **fields):
    config = {"name": "projected", "layers": LAYERS, "width": 4, "mixed_width": 6, **fields}
    discriminator = build_discriminator(config)
    return discriminator, discriminator.init(jax.random.key(0), maps)


def conv(x, kernel):
    """Correlation with zeros around, tap by tap."""
    margin = len(kernel) // 2
    _, h, w, _ = x.shape
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    return sum(
        padded[:, i : i + h, j : j + w] @ kernel[i, j]
        for i in range(len(kernel))
        for j in range(len(kernel))
    )


def head(parameters, layer, x):
    for name in ("hidden0", "hidden1", "logits"):
        layer_parameters = parameters[f"{layer}_{name}"]
        x = conv(x, np.asarray(layer_parameters["kernel"]))
        x = x + np.asarray(layer_parameters["bias"])
        if name != "logits":
            x = np.where(x > 0, x, 0.2 * x)
    return x


@pytest.mark.slow
@pytest.mark.parametrize("mixing", ["none", "channels", "scales"])
def test_heads_judge_what_is_mixed(maps, mixing):
    discriminator, variables = started(maps, mixing=mixing)
    mixed = maps
    if mixing != "none":
        fixed = {name: np.asarray(kernel) for name, kernel in variables["batch_stats"].items()}
        mixed = {name: conv(x, fixed[f"mix_{name}"]) for name, x in maps.items()}
        if mixing == "scales":
            coarse = conv(mixed["deep"], fixed["fuse_shallow"])
            fine = ndimage.zoom(coarse, (1, 2, 2, 1), order=1, mode="nearest", grid_mode=True)
            mixed["shallow"] = (mixed["shallow"] + fine) / np.sqrt(2)
    logits = discriminator.apply(variables, maps)
    assert list(logits) == list(LAYERS)
    for layer in LAYERS:
        expected = head(variables["params"], layer, mixed[layer])
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(logits[layer], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_mixes_is_drawn_at_random_keeps_the_scale_and_never_moves(maps):
    discriminator, variables = started(maps, mixing="scales", spectral_norm=True)
    assert not [name for name in variables["params"] if name.startswith(("mix", "fuse"))]
    _, changed = discriminator.apply(variables, maps, update_stats=True, mutable=["batch_stats"])
    before, after = variables["batch_stats"], changed["batch_stats"]
    assert before.keys() == after.keys()
    for name in ("mix_shallow", "mix_deep", "fuse_shallow"):
        np.testing.assert_array_equal(before[name], after[name])
    estimates = [name for name in before if name.endswith("_sn")]
    assert len(estimates) == 6
    assert any((before[n][k] != after[n][k]).any() for n in estimates for k in before[n])

    other = discriminator.init(jax.random.key(1), maps)["batch_stats"]
    assert not np.allclose(before["mix_deep"], other["mix_deep"])
    wide = {name: np.resize(x, (1, 8, 8, 256)) for name, x in maps.items()}
    _, variables = started(wide, mixed_width=256)
    kernel = np.asarray(variables["batch_stats"]["mix_deep"])
    np.testing.assert_allclose(np.square(kernel).sum(axis=(0, 1, 2)).mean(), 1, rtol=0.05)


def test_styles_have_a_logit_each(maps):
    discriminator, _ = started(maps, styles=3)
    shapes = jax.eval_shape(lambda m: discriminator.init_with_output(jax.random.key(0), m)[0], maps)
    assert {name: s.shape for name, s in shapes.items()} == {
        "shallow": (2, 6, 8, 3),
        "deep": (2, 3, 4, 3),
    }
    assert all(s.dtype == jnp.float32 for s in shapes.values())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mixing": "all"}, "none, channels, scales"),
        ({"layers": ()}, "must name some"),
        ({"layers": "relu2_1"}, "must name some"),
        ({"layers": (3,)}, "must name some"),
        ({"layers": ("relu2_1", "relu2_1")}, "each once"),
        ({"width": 0}, "at least 1"),
        ({"depth": 3}, "no option 'depth'"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        build_discriminator({"name": "projected", **fields})
