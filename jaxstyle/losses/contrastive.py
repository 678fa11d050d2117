"""PatchNCE: a patch of the output should resemble the same patch of the input, and no other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


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


def neighbour_differences(maps: jax.Array, positions: jax.Array) -> jax.Array:
    """How feature vectors differ from each of their eight neighbours (CCPL, Wu et al. 2022).

    maps: float32 [N, h, w, C], h and w at least 3. positions: int32 [P], flat indices into the
    (h - 2) * (w - 2) positions that have all neighbours, the same for all images. Returns
    [N, P, 8, C], the vector at the position less its neighbour's, row by row.

    CCPL asks of these, projected, what `patch_nce` asks of patches: the difference in the output
    should resemble that in the same place of the input, and no other. So what moves in a film
    moves alike in its stylized frames, without flow or film in training.
    """
    n, h, w, c = maps.shape
    vectors = maps.reshape(n, h * w, c)
    here = (positions // (w - 2) + 1) * w + positions % (w - 2) + 1
    around = np.array([i * w + j for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)])
    # At once: a gather for each neighbour would be a scatter for each in the gradient.
    neighbours = vectors[:, here[:, None] + around[None].astype(np.int32)]
    return vectors[:, here][:, :, None] - neighbours


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
