import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from ml_collections import FrozenConfigDict

from jaxstyle import steps
from jaxstyle.config import check_config
from jaxstyle.data.sources import open_source

RECIPES = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    """The module of a recipe, which is no part of a package."""
    spec = importlib.util.spec_from_file_location(f"recipe_{request.param.stem}", request.param)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_recipes():
    assert RECIPES


def test_a_recipe_is_sound(recipe):
    check_config(recipe.get_config())


def test_a_recipe_says_how_to_run_it(recipe):
    name = Path(recipe.__file__).name
    assert f"python -m jaxstyle.main --config=configs/{name} --workdir=" in recipe.__doc__


def test_the_steps_of_a_recipe_fit_together(recipe):
    """Every kind of step that it takes: shapes, dtypes and names, without computing anything."""
    config = FrozenConfigDict(recipe.get_config())
    networks = steps.build_networks(config)
    state = jax.eval_shape(lambda: steps.init_state(networks, config, jax.random.key(0)))
    image = jax.ShapeDtypeStruct(
        (config.batch_size, config.image_size, config.image_size, 3), jnp.uint8
    )
    batch = {"content": image, "style": image}
    if config.losses.adversarial.smooth_weight > 0:
        batch["style_smooth"] = image
    for updates in {steps.updates_at(step, config) for step in range(config.steps)}:
        after, figures = jax.eval_shape(
            lambda s, b, u=updates: steps.train_step(
                s, b, networks=networks, config=config, updates=u
            ),
            state,
            batch,
        )
        assert jax.tree.structure(after) == jax.tree.structure(state)
        shapes = jax.tree.map(lambda a, b: a.shape == b.shape and a.dtype == b.dtype, after, state)
        assert all(jax.tree.leaves(shapes))
        assert figures
        assert all(figure.shape == () for figure in figures.values())


def test_the_data_of_a_recipe_can_be_read(recipe):
    """Those that are rendered; without their cache, so that nothing is rendered here but one."""
    data = recipe.get_config().data
    for spec in (data.content, data.style):
        if spec.startswith("scenes:"):
            source = open_source(spec, size=32)
            assert source[len(source) - 1].shape[2] == 3
