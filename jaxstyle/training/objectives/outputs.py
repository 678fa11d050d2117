"""What the generators make of one batch."""

import dataclasses

import jax

from jaxstyle.models.examples import takes_noise
from jaxstyle.training.objectives import support_tail
from jaxstyle.training.objectives.players import OF_VIEWS, Images, Outputs, Players


def run_generators(players: Players, images: Images) -> Outputs:
    """Stylizes a batch, float32 images in [-1, 1] by their names in `steps.train_step`."""
    helpers, style = players.networks.helpers, images["style"]
    maps: tuple[jax.Array, ...] = ()
    condition: tuple = ()
    if takes_noise(players.networks.generator):
        fake = players.generate(images["noise"])
    else:
        condition = players.condition(images)
        fake, maps = players.generate(images["content"], *condition, return_features=True)
    judges = [OF_VIEWS[view] for view in players.config.losses.adversarial.views]
    outputs = Outputs(fake, dict.fromkeys(judges, (style, fake)), maps, condition)
    if "backward" in helpers:
        back = players.generate_back(style)
        pairs = {**outputs.pairs, "backward": (images["content"], back)}
        outputs = dataclasses.replace(outputs, backward=back, pairs=pairs)
    if "support" in helpers:
        outputs = support_tail.paint(players, outputs, images)
    return outputs


def see_results(players: Players, outputs: Outputs, layers: tuple[str, ...]) -> Outputs:
    """Adds what the pretrained network sees of the results, in these layers, if any."""
    if not layers:
        return outputs
    return dataclasses.replace(outputs, seen=players.see(outputs.fake, layers))
