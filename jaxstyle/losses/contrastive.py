"""PatchNCE: a patch of the output should resemble the same patch of the input, and no other."""

from typing import Any

import jax
import jax.numpy as jnp


def sample_positions(
    key: jax.Array, shapes: tuple[tuple[int, int], ...], count: int
) -> tuple[jax.Array, ...]:
    """Draws up to `count` distinct positions in each feature map, as flat indices.

    shapes: (H, W) of each map. Returns a tuple of int32 [min(count, H*W)].
    """
    keys = jax.random.split(key, len(shapes))
    return tuple(
        jax.random.permutation(k, h * w)[:count] for k, (h, w) in zip(keys, shapes, strict=True)
    )


def patch_nce(query: jax.Array, reference: jax.Array, temperature: float = 0.07) -> jax.Array:
    """InfoNCE over the patches of one image (Park et al. 2020, "Contrastive learning for ... ").

    query: unit vectors [N, P, C] of P patches of the output; reference: [N, P, C] of the same
    patches of the input, through which no gradient flows. For each query the patch in the same
    place is the positive and the other P - 1 of the same image are the negatives: the cross
    entropy of softmax(query . reference / temperature). Returns a float32 scalar, at most
    about log P for unrelated vectors.
    """
    reference = jax.lax.stop_gradient(reference)
    logits = jnp.einsum("npc,nqc->npq", query, reference) / temperature
    positives = jnp.diagonal(logits, axis1=1, axis2=2)
    return (jax.nn.logsumexp(logits, axis=-1) - positives).mean()


def code_contrast(result: Any, style: Any) -> jax.Array:
    """How much nearer each result's style code is to its own style's than to the others'.

    MicroAST's style signal contrastive loss (Wang et al. 2023): sum over i of
    |r_i - s_i| / sum over j != i of |r_i - s_j|. result, style: pytrees of one structure whose
    leaves are float32 [N, ...], N at least 2; a code is all leaves of one index together. Returns a
    float32 scalar.
    """

    def codes(tree):
        leaves = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(tree)]
        return jnp.concatenate(leaves, axis=1)

    difference = codes(result)[:, None] - codes(style)[None]
    distances = jnp.sqrt(jnp.square(difference).sum(axis=-1) + 1e-12)
    own = jnp.diagonal(distances)
    return (own / (distances.sum(axis=1) - own)).sum()
