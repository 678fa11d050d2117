"""3x3 convolutions that are trained as a sum of linear branches, and run as a single one.

Structural re-parameterization (RepVGG, Ding et al. 2021): a sum of linear branches is one
convolution, but gradient descent takes another path through its parameters. The branches are those
of the edge-oriented block (ECBSR, Zhang et al. 2021). Already in training their kernel is composed
first and convolved with once (OREPA, Hu et al. 2022), so they cost next to nothing there, and
folding is exact: zero padding meets the one kernel, as there is no bias between the layers of a
branch.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from jaxstyle.models.layers import HE, Initializer

# Channels between the two convolutions of the expanding branch, relative to the output's.
_EXPANSION = 2

_SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)
_LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)
EDGE_FILTERS = np.stack([_SOBEL, _SOBEL.T, _LAPLACIAN])


class BranchedConv(nn.Module):
    """A 3x3 convolution, zero-padded and with a bias, whose kernel is the sum of its branches'.

    x: [N, H, W, I] to [N, H, W, features] of `dtype`. The parameters, float32, are those of
    `nn.Conv` and of the branches that `compose` adds up; what these end with starts at zero, so
    that with the same key it starts as the very convolution that `nn.Conv` is.
    """

    features: int
    kernel_init: Initializer = HE
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        inputs, outputs = x.shape[-1], self.features
        middle, edges = _EXPANSION * outputs, len(EDGE_FILTERS)
        zeros = nn.initializers.zeros
        # Nothing follows these layers that would halve the variance.
        mixing = nn.initializers.lecun_normal(batch_axis=0)
        branches = {
            # The first to be drawn, as in nn.Conv.
            "kernel": self.param("kernel", self.kernel_init, (3, 3, inputs, outputs)),
            "expand": self.param("expand", nn.initializers.lecun_normal(), (inputs, middle)),
            "reduce": self.param("reduce", zeros, (3, 3, middle, outputs)),
            "edge_mix": self.param("edge_mix", mixing, (edges, inputs, outputs)),
            "edge_scale": self.param("edge_scale", zeros, (edges, outputs)),
        }
        bias = self.param("bias", zeros, (outputs,))
        y = lax.conv_general_dilated(
            x.astype(self.dtype),
            compose(branches).astype(self.dtype),
            window_strides=(1, 1),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + bias.astype(self.dtype).reshape(1, 1, 1, -1)


@jax.jit
def compose(branches: Mapping[str, jax.Array]) -> jax.Array:
    """The one kernel, float32 [3, 3, I, O], that the branches of a `BranchedConv` amount to.

    The sum of "kernel" [3, 3, I, O]; "expand" [I, M] and then "reduce" [3, 3, M, O], a 1x1 and a
    3x3 convolution; and for each of three fixed filters (Sobel along x and y, Laplacian) a 1x1
    convolution "edge_mix" [3, I, O], the filter on every channel, and "edge_scale" [3, O].
    """
    # Accelerators would round the factors to half precision, and the cost is nothing.
    highest = lax.Precision.HIGHEST
    sequence = jnp.einsum(
        "im,hwmo->hwio", branches["expand"], branches["reduce"], precision=highest
    )
    scaled = branches["edge_mix"] * branches["edge_scale"][:, None]
    edges = jnp.einsum("fhw,fio->hwio", EDGE_FILTERS, scaled, precision=highest)
    return branches["kernel"] + sequence + edges


def fold(generator: nn.Module, parameters: Any) -> tuple[nn.Module, Any]:
    """A generator of single convolutions, and its parameters, that computes the same.

    parameters: those of a generator with `branches`, a nested dict of float32. What has none is
    returned as it is.
    """
    if not getattr(generator, "branches", False):
        return generator, parameters
    return generator.clone(branches=False), _folded(parameters)


def _folded(tree: Any) -> Any:
    if not isinstance(tree, Mapping):
        return tree
    if "edge_scale" in tree:
        branches = {name: value for name, value in tree.items() if name != "bias"}
        return {"kernel": compose(branches), "bias": tree["bias"]}
    return {name: _folded(value) for name, value in tree.items()}
