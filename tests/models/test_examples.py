import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jaxstyle.models import GENERATORS, build_generator
from jaxstyle.models.examples import example_inputs, init_parameters, init_variables, takes_noise


class Tinted(nn.Module):
    """An image generator whose style is what a layer of its own makes of a style image."""

    stride = 1
    condition = "image"

    def setup(self):
        self.encoder = nn.Dense(2)
        self.decoder = nn.Dense(3)

    def encode_style(self, x):
        return {"tint": self.encoder(x).mean(axis=(1, 2))}

    def __call__(self, x, condition):
        tint = jnp.broadcast_to(condition["tint"][:, None, None], (*x.shape[:3], 2))
        return self.decoder(jnp.concatenate([x, tint], axis=-1))


def test_both_methods_of_an_arbitrary_style_generator_find_their_parameters():
    parameters = init_parameters(Tinted(), jax.random.key(0), 8)
    assert jax.tree.map(jnp.shape, parameters) == {
        "encoder": {"kernel": (3, 2), "bias": (2,)},
        "decoder": {"kernel": (5, 3), "bias": (3,)},
    }
    condition = Tinted().apply(
        {"params": parameters}, jnp.zeros((2, 16, 8, 3)), method="encode_style"
    )
    assert Tinted().apply({"params": parameters}, jnp.zeros((2, 8, 8, 3)), condition).shape == (
        2,
        8,
        8,
        3,
    )
    _, example = example_inputs(Tinted(), 8)
    assert example["tint"].shape == (1, 2)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_here_is_initialised_by_example(name):
    generator = build_generator({"name": name})
    size = generator.image_size if takes_noise(generator) else 16 * generator.stride

    def run(key):
        variables = init_variables(generator, key, size)
        inputs = example_inputs(generator, size)
        return generator.apply({"params": variables["params"]}, *inputs)

    assert jax.eval_shape(run, jax.random.key(0)).shape == (1, size, size, 3)
