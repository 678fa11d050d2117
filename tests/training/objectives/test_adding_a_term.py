"""A new term is its record and its default: nothing else knows of it, and no other term changes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxstyle.config import default_config
from jaxstyle.errors import UserError
from jaxstyle.training import config_checks, steps
from jaxstyle.training.networks import build_networks
from jaxstyle.training.objectives import discriminator, generator
from jaxstyle.training.objectives.term import Term

pytestmark = pytest.mark.slow

RAMP = ((0.0, 0.0), (1.0, 1.0))
DEFAULTS = {
    "brightness": {"weight": 0.0, "schedule": RAMP, "wanted": 0.5},
    "certainty": {"weight": 0.0, "schedule": RAMP},
}
# Most of which draw: where they look, in which direction, between which images.
OTHERS = {
    "g/adversarial",
    "g/patch_nce",
    "g/palette",
    "d/real",
    "d/fake",
    "d/gradient_penalty",
}


def brightness(players, outputs, images, settings, key):
    return jnp.square(outputs.fake.mean() - settings.wanted)


def certainty(judged, settings, key):
    return jnp.square(judged.logits["fake"]).mean()


def extended_default() -> ConfigDict:
    config = default_config()
    with config.unlocked():
        config.losses.update(DEFAULTS)
    return config


def tiny(config: ConfigDict, **changes) -> FrozenConfigDict:
    config.update_from_flattened_dict(
        {
            "steps": 8,
            "batch_size": 2,
            "image_size": 32,
            "generator.size": "nano",
            "discriminator.width": 8,
            "discriminator.layers": 1,
            "style_weight": 0.5,
            "losses.patch_nce.layers": (1, 2),
            "losses.patch_nce.patches": 8,
            "losses.patch_nce.width": 8,
            "losses.palette.weight": 1.0,
            "losses.gradient_penalty.weight": 1.0,
            **changes,
        }
    )
    config_checks.check_config(config)
    return FrozenConfigDict(config)


def metrics_of(config: FrozenConfigDict) -> dict[str, float]:
    """Those of a step at a quarter of the run."""
    networks = build_networks(config)
    state = jax.jit(functools.partial(steps.init_state, networks, config))(jax.random.key(1))
    state = state.replace(step=jnp.int32(2))
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 256, (2, 32, 32, 3), np.uint8) for name in ("content", "style")}
    updates = steps.Updates(generator=True, discriminator=True, adversarial=True, r1=False)
    step = functools.partial(steps.train_step, networks=networks, config=config, updates=updates)
    return {name: float(value) for name, value in jax.jit(step)(state, batch, {})[1].items()}


@pytest.fixture
def records(monkeypatch):
    """The two records, where nobody would put them: before all that are there."""

    def add(**fields):
        term = Term("brightness", brightness, "style", **fields)
        monkeypatch.setattr(generator, "TERMS", (term, *generator.TERMS))
        main = (Term("certainty", certainty), *discriminator.TERMS["main"])
        monkeypatch.setitem(discriminator.TERMS, "main", main)
        monkeypatch.setattr(config_checks, "default_config", extended_default)

    return add


def test_a_record_and_a_default_make_a_term_and_change_no_other(records):
    before = metrics_of(tiny(default_config()))
    assert set(before) > OTHERS
    records()
    new = {"losses.brightness.weight": 8.0, "losses.certainty.weight": 3.0}
    after = metrics_of(tiny(extended_default(), **new))

    assert set(after) - set(before) == {"g/brightness", "d/certainty"}
    for name in OTHERS:
        assert after[name] == pytest.approx(before[name], rel=1e-5), name
    # Its weight, its side's, and a ramp of which a quarter is over.
    added = 8.0 * 0.5 * 0.25 * after["g/brightness"]
    assert after["g/total"] - before["g/total"] == pytest.approx(added, rel=1e-3)
    added = 3.0 * 0.25 * after["d/certainty"]
    assert after["d/total"] - before["d/total"] == pytest.approx(added, rel=1e-3)


def test_a_term_that_is_off_is_not_computed(records):
    records(needs=("cycle",), layers=lambda settings: ("conv1_1",))
    networks = build_networks(tiny(extended_default()))
    assert set(networks.helpers) == {"heads"}
    assert networks.features is None


def test_what_a_term_needs_is_built(records):
    records(needs=("cycle",), layers=lambda settings: ("conv1_1",))
    networks = build_networks(tiny(extended_default(), **{"losses.brightness.weight": 1.0}))
    assert set(networks.helpers) == {"heads", "backward"}
    assert set(networks.discriminators) == {"main", "backward"}
    assert "conv1_1" in networks.features.layers


def test_what_a_term_needs_and_cannot_have_is_told(records):
    records(needs=("pairs",))
    with pytest.raises(UserError, match=r"data\.paired is False"):
        tiny(extended_default(), **{"losses.brightness.weight": 1.0})
    records(needs=("style image",))
    config = tiny(extended_default(), **{"losses.brightness.weight": 1.0, "data.paired": True})
    with pytest.raises(UserError, match=r"losses\.brightness is for generators that take a style"):
        build_networks(config)
