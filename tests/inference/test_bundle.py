import errno
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxstyle.errors import UserError
from jaxstyle.inference.bundle import FORMAT, load_bundle, load_metadata, save_bundle
from jaxstyle.models import build_discriminator, build_generator
from jaxstyle.models.examples import init_parameters

CONFIG = {"name": "realtime", "size": "tiny", "dtype": "float32"}
METADATA = {"name": "ink", "generator": CONFIG, "step": 7, "licence": "CC0", "figures": {"a": 0.5}}


@pytest.fixture(scope="module")
def parameters():
    shapes = jax.eval_shape(
        build_generator(CONFIG).init, jax.random.key(0), jnp.zeros((1, 32, 32, 3))
    )["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)


@pytest.fixture
def path(tmp_path, parameters):
    save_bundle(tmp_path / "model.safetensors", parameters, METADATA)
    return tmp_path / "model.safetensors"


def flat(parameters, **changes):
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    return {"/".join(key.key for key in keys): leaf for keys, leaf in leaves} | changes


def write(path, tensors, metadata=METADATA, form=FORMAT):
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    save_file(tensors, path, metadata={"format": form, "jaxstyle": text})


def test_a_bundle_reads_back_bit_for_bit(path, parameters):
    bundle = load_bundle(path)
    jax.tree.map(np.testing.assert_array_equal, bundle.parameters, parameters)
    assert bundle.metadata == METADATA
    x = jax.random.normal(jax.random.key(1), (1, 32, 32, 3))
    expected = build_generator(CONFIG).apply({"params": parameters}, x)
    actual = bundle.generator.apply({"params": bundle.parameters}, x)
    np.testing.assert_array_equal(actual, expected)


def test_only_the_bundle_is_left_behind(path):
    assert [p.name for p in path.parent.iterdir()] == ["model.safetensors"]


def test_a_write_that_fails_leaves_the_old_bundle(path, parameters, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=r"cannot write .*safetensors: No space left on device"):
        save_bundle(path, jax.tree.map(np.zeros_like, parameters), METADATA)
    assert path.read_bytes() == before


def test_parameters_of_another_generator_are_not_written(tmp_path, parameters):
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="does not fit its generator"):
        save_bundle(path, parameters, METADATA | {"generator": CONFIG | {"size": "small"}})
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no model at .*nowhere"):
        load_bundle(tmp_path / "nowhere.safetensors")
    with pytest.raises(UserError, match="no model at"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("length", [0, 5, 100, -100])
def test_a_truncated_bundle(path, length):
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match="not a readable"):
        load_bundle(path)


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\x89PNG" + bytes(1000))
    with pytest.raises(UserError, match="not a readable"):
        load_bundle(path)


def test_safetensors_of_another_program(tmp_path, parameters):
    path = tmp_path / "model.safetensors"
    save_file(flat(parameters), path)
    with pytest.raises(UserError, match="not a jaxstyle bundle"):
        load_bundle(path)
    write(path, flat(parameters), form="jaxstyle-bundle-0")
    with pytest.raises(UserError, match=f"not a jaxstyle bundle of format {FORMAT}"):
        load_bundle(path)


@pytest.mark.parametrize(
    "metadata",
    ["{not json", "[]", "{}", '{"generator": 5}', '{"generator": {"name": []}}'],
)
def test_metadata_that_make_no_sense(tmp_path, parameters, metadata):
    path = tmp_path / "model.safetensors"
    write(path, flat(parameters), metadata)
    with pytest.raises(UserError, match=r"model\.safetensors has unreadable metadata"):
        load_bundle(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"styles": [2]},
        {"size": ["tiny"]},
        {"name": "resnet", "width": "x"},
        {"name": "resnet", "blocks": 2.5},
        {"name": "dcgan", "latent": "many"},
        {"name": "progan", "image_size": [8]},
    ],
)
def test_fields_of_a_wrong_type(tmp_path, parameters, fields):
    path = tmp_path / "model.safetensors"
    write(path, flat(parameters), METADATA | {"generator": {"name": "realtime"} | fields})
    with pytest.raises(UserError, match=r"model\.safetensors has unreadable") as caught:
        load_bundle(path)
    assert "\n" not in str(caught.value)


def test_tensors_of_a_type_that_numpy_does_not_have(path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    tensors = json.loads(content[8 : 8 + size])
    begin, end = tensors["stem/bias"]["data_offsets"]
    tensors["stem/bias"] |= {"dtype": "F8_E4M3", "shape": [end - begin]}
    header = json.dumps(tensors).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + size :])
    with pytest.raises(UserError, match="not a readable"):
        load_bundle(path)


def test_a_generator_that_is_not_known(tmp_path, parameters):
    path = tmp_path / "model.safetensors"
    write(path, flat(parameters), METADATA | {"generator": {"name": "diffusion"}})
    with pytest.raises(UserError, match="no generator named 'diffusion'"):
        load_bundle(path)


def test_wrong_shapes_and_missing_or_surplus_tensors_are_named(tmp_path, parameters):
    path = tmp_path / "model.safetensors"
    tensors = flat(parameters)
    write(path, tensors | {"stem/bias": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"stem/bias is \(3,\), should be \(24,\)"):
        load_bundle(path)
    write(path, tensors | {"surplus": np.zeros(3, np.float32)})
    with pytest.raises(UserError, match=r"surplus is \(3,\), should be absent"):
        load_bundle(path)
    write(path, {name: value for name, value in tensors.items() if name != "head/bias"})
    with pytest.raises(UserError, match="head/bias is missing"):
        load_bundle(path)


def random_variables(shapes, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_the_discriminator_comes_along(tmp_path, parameters, conditional):
    config = {"name": "patch", "width": 8, "layers": 1, "spectral_norm": True}
    module = build_discriminator(config)
    x = jax.random.normal(jax.random.key(1), (2, 32, 48, 6 if conditional else 3))
    variables = random_variables(jax.eval_shape(module.init, jax.random.key(0), x), seed=1)
    metadata = METADATA | {"discriminator": config, "discriminator_conditional": conditional}
    path = tmp_path / "model.safetensors"
    save_bundle(path, parameters, metadata, discriminator=variables)
    bundle = load_bundle(path)
    jax.tree.map(np.testing.assert_array_equal, bundle.parameters, parameters)
    judge = bundle.discriminator
    assert judge.conditional is conditional
    expected = module.apply(variables, x)
    np.testing.assert_array_equal(judge.module.apply(judge.variables, x), expected)
    assert bundle.statistics == {}


def test_a_discriminator_that_is_not_the_one_described_is_named(tmp_path, parameters):
    config = {"name": "patch", "width": 8, "layers": 1}
    x = jnp.zeros((1, 32, 32, 3))
    shapes = jax.eval_shape(build_discriminator(config).init, jax.random.key(0), x)
    variables = random_variables(shapes, seed=1)
    metadata = METADATA | {"discriminator": config | {"width": 16}}
    with pytest.raises(UserError, match=r"discriminator/params/conv0/.* should be \(16,\)"):
        save_bundle(tmp_path / "a.safetensors", parameters, metadata, discriminator=variables)
    path = tmp_path / "b.safetensors"
    write(path, flat(parameters, **{"discriminator/params/x": np.zeros(3, np.float32)}))
    with pytest.raises(UserError, match="unreadable metadata"):
        load_bundle(path)
    # Described, but left out.
    write(path, flat(parameters), metadata)
    assert load_bundle(path).discriminator is None


@pytest.mark.slow
def test_standing_statistics_come_along(tmp_path):
    config = {"name": "dcgan", "width": 4, "latent": 8}
    generator = build_generator(config)
    shapes = jax.eval_shape(generator.init, jax.random.key(0), jnp.zeros((2, 8)))
    parameters = random_variables(shapes["params"], seed=0)
    z = jax.random.normal(jax.random.key(0), (4, 8))
    _, stored = generator.apply({"params": parameters}, z, mutable=["batch_stats"])
    path = tmp_path / "model.safetensors"
    save_bundle(path, parameters, {"generator": config}, statistics=stored["batch_stats"])
    bundle = load_bundle(path)
    jax.tree.map(np.testing.assert_array_equal, bundle.statistics, stored["batch_stats"])
    # With them, an image does not depend on its batch.
    variables = {"params": bundle.parameters, "batch_stats": bundle.statistics}
    alone = bundle.generator.apply(variables, z[:1])
    np.testing.assert_allclose(alone, bundle.generator.apply(variables, z)[:1], atol=1e-5)
    save_bundle(path, parameters, {"generator": config})
    assert load_bundle(path).statistics == {}
    with pytest.raises(UserError, match=r"statistics/out/mean is \(3,\), should be absent"):
        save_bundle(
            path,
            parameters,
            {"generator": config},
            statistics={"out": {"mean": np.zeros(3, np.float32)}},
        )


@pytest.mark.parametrize(
    "config",
    [
        {"name": "realtime", "size": "tiny", "styles": 3},
        {"name": "microast"},
        {"name": "progan", "image_size": 8},
    ],
)
def test_every_kind_of_generator_reads_back(tmp_path, config):
    generator = build_generator(config)
    shapes = jax.eval_shape(lambda key: init_parameters(generator, key, 64), jax.random.key(0))
    parameters = random_variables(shapes, seed=2)
    path = tmp_path / "model.safetensors"
    save_bundle(path, parameters, {"generator": config})
    jax.tree.map(np.testing.assert_array_equal, load_bundle(path).parameters, parameters)


def test_half_precision_halves_the_file_and_rounds(tmp_path, parameters, path):
    half = tmp_path / "half.safetensors"
    save_bundle(half, parameters, METADATA, dtype=np.float16)
    assert half.stat().st_size < 0.55 * path.stat().st_size
    bundle = load_bundle(half)
    for stored, exact in zip(
        jax.tree.leaves(bundle.parameters), jax.tree.leaves(parameters), strict=True
    ):
        assert stored.dtype == jnp.float32
        # A unit in the last place of 11 bits, half of it when rounded to nearest.
        np.testing.assert_allclose(stored, exact, rtol=2**-11, atol=2**-25)
    # What is float16 already remains as it is.
    save_bundle(tmp_path / "again.safetensors", bundle.parameters, METADATA, dtype=np.float16)
    assert (tmp_path / "again.safetensors").read_bytes() == half.read_bytes()


def test_the_same_model_is_the_same_file(tmp_path, parameters):
    files = [tmp_path / f"{i}.safetensors" for i in range(20)]
    for file in files:
        save_bundle(file, parameters, METADATA)
    assert len({file.read_bytes() for file in files}) == 1


@pytest.mark.parametrize("value", [70_000.0, np.nan])
def test_what_half_precision_cannot_hold_is_refused(tmp_path, parameters, value):
    large = {**parameters, "head": {**parameters["head"]}}
    large["head"]["bias"] = np.full_like(parameters["head"]["bias"], value)
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match="head/bias holds values that are not finite in float16"):
        save_bundle(path, large, METADATA, dtype=np.float16)
    assert not path.exists()
    save_bundle(path, large, METADATA)


def test_a_bundle_without_a_name_is_called_like_its_file(tmp_path, parameters):
    path = tmp_path / "oil.safetensors"
    save_bundle(path, parameters, {"generator": CONFIG})
    assert load_metadata(path) == {"generator": CONFIG}
    assert load_bundle(path).metadata["name"] == "oil"


def test_metadata_are_read_without_the_tensors(path, tmp_path):
    assert load_metadata(path) == METADATA
    for metadata in ("[]", "{not json"):
        write(tmp_path / "odd.safetensors", {}, metadata)
        with pytest.raises(UserError, match=r"odd\.safetensors has unreadable metadata"):
            load_metadata(tmp_path / "odd.safetensors")
