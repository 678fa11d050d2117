"""What kind of term each of the generator's is: for checks and knobs that go by kinds."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a term is about and what it asks for.

    side: "content" if it holds on to the content, "style" if it asks for the style, which
    `config.content_weight` and `config.style_weight` weigh against each other; or neither, "".
    on_content: whether there must be frames of the content, which a generator of noise lacks.
    sees: whether it looks through the pretrained network of `config.features`.
    """

    side: str = ""
    on_content: bool = True
    sees: bool = False


KINDS = {
    "adversarial": Kind("style", on_content=False),
    "patch_nce": Kind("content"),
    "perceptual": Kind("content", sees=True),
    "lpips": Kind("content", sees=True),
    "cycle": Kind("content"),
    "identity": Kind("content"),
    "color": Kind("content"),
    "total_variation": Kind(on_content=False),
    "palette": Kind("style", on_content=False),
    "patches": Kind("style", on_content=False),
    "gram": Kind("style", on_content=False, sees=True),
    "statistics": Kind("style", on_content=False, sees=True),
    "style_contrast": Kind("style"),
    "shift": Kind(),
    "warp": Kind(),
    "paired_l1": Kind(),
    "paired_gradient": Kind(),
    "support": Kind(sees=True),
    "support/adversarial": Kind("style"),
    "support/perceptual": Kind("content", sees=True),
    "support/gram": Kind("style", sees=True),
    "support/superpixels": Kind(sees=True),
    "support/color": Kind("content"),
    "support/total_variation": Kind(),
    "smoothed_support": Kind(),
}
