"""PatchNCE: a patch of the output should resemble the same patch of the input, and no other."""

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
