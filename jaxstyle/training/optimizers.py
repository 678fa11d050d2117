"""The optimizers that a config chooses from, without their learning rates."""

import jax
import jax.numpy as jnp
import optax
from ml_collections import FrozenConfigDict
from optax.contrib import MuonDimensionNumbers, scale_by_muon

# Muon's steps have this root mean square, so that it takes Adam's learning rates (Liu et al. 2025).
_RMS = 0.2


def build_optimizer(settings: FrozenConfigDict) -> optax.GradientTransformation:
    """The transformation of gradients to directions that an entry of `config.optimizer` names.

    settings: `kind`, "adam" (Kingma & Ba 2015) or "muon" (Jordan et al. 2024), with `b1` and `b2`.
    """
    adam = optax.scale_by_adam(b1=settings.b1, b2=settings.b2)
    if settings.kind == "adam":
        return adam
    muon = optax.chain(
        scale_by_muon(beta=settings.b1, weight_dimension_numbers=_as_matrices),
        optax.stateless(lambda directions, _: jax.tree.map(_rescaled, directions)),
    )
    return optax.partition({"muon": muon, "adam": adam}, _kinds)


def _kinds(parameters):
    """Kernels of convolutions by Muon; by Adam what has no inputs that are mixed into outputs."""

    def kind(parameter):
        return "muon" if parameter.ndim == 4 and parameter.shape[2] > 1 else "adam"

    return jax.tree.map(kind, parameters)


def _as_matrices(kernels):
    """[height, width, in, out] as a matrix from all inputs that are seen to the outputs."""
    return jax.tree.map(lambda _: MuonDimensionNumbers((0, 1, 2), (3,)), kernels)


def _rescaled(direction: jax.Array) -> jax.Array:
    """A matrix of singular values 1, scaled to the root mean square `_RMS`."""
    outputs = direction.shape[-1]
    larger = max(outputs, direction.size // outputs)
    return direction * jnp.asarray(_RMS * larger**0.5, direction.dtype)
