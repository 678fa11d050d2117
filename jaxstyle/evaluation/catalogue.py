"""Every figure of a report: what it is called, which way it is better, and where it comes from."""

import dataclasses

from jaxstyle.evaluation.footage import LONG_SPAN


@dataclasses.dataclass(frozen=True)
class Metric:
    """label: a few words. better: "lower" or "higher". about: a line, with its source.

    family: "style", "content", "truth", "temporal" or "judge": what it says something of.
    """

    label: str
    better: str
    family: str
    about: str
    unit: str = ""


RELATIVE = "/relative"

METRICS = {
    "swd": Metric(
        "sliced Wasserstein distance",
        "lower",
        "style",
        "Of 7x7 patches at all scales of a Laplacian pyramid, from those of the style, in standard "
        "deviations (Karras et al. 2018).",
    ),
    "color_histogram": Metric(
        "colour distance",
        "lower",
        "style",
        "Hellinger distance of the joint colour histograms in CIE Lab from that of the style: 0 "
        "for the same, 1 for none in common.",
    ),
    "grid": Metric(
        "grid, x the style's",
        "lower",
        "style",
        "Power at the frequencies of a grid of four pixels, which a generator at a quarter of the "
        "resolution may leave, against that beside them; as a multiple of the style's own.",
    ),
    "fid": Metric(
        "FID",
        "lower",
        "style",
        "Fréchet distance of InceptionV3 features from those of the style (Heusel et al. 2017).",
    ),
    "kid": Metric(
        "KID",
        "lower",
        "style",
        "Kernel distance of InceptionV3 features from those of the style (Binkowski et al. 2018); "
        "unbiased, so that few pictures do.",
    ),
    "edge_f1": Metric(
        "edge F1",
        "higher",
        "content",
        "How far edges of the result and of the input agree: the harmonic mean of precision and "
        "recall (Martin et al. 2004).",
    ),
    "ssim": Metric(
        "SSIM to the input",
        "higher",
        "content",
        "Structural similarity of luma (Wang et al. 2004).",
    ),
    "ms_ssim": Metric(
        "MS-SSIM to the input",
        "higher",
        "content",
        "Structural similarity of luma at several scales (Wang et al. 2003).",
    ),
    "lpips": Metric(
        "LPIPS to the input",
        "lower",
        "content",
        "Learned perceptual distance (Zhang et al. 2018).",
    ),
    "truth_ssim": Metric(
        "SSIM to the truth",
        "higher",
        "truth",
        "Structural similarity, of each channel, to the true stylized frame of the scene.",
    ),
    "truth_psnr": Metric(
        "PSNR to the truth",
        "higher",
        "truth",
        "Peak signal-to-noise ratio to the true stylized frame of the scene.",
        "dB",
    ),
    "warp_short": Metric(
        "warp error, short range",
        "lower",
        "temporal",
        "How much what is seen in two neighbouring frames changes its colour on the way: root mean "
        "square, of 1 (Lai et al. 2018).",
    ),
    "warp_long": Metric(
        "warp error, long range",
        "lower",
        "temporal",
        f"The same of frames {LONG_SPAN} apart, a third of a second at 24 a second.",
    ),
    "flicker": Metric(
        "flicker",
        "lower",
        "temporal",
        "Change from frame to frame where the input stands still: root mean square, of 1.",
    ),
    "judge": Metric(
        "discriminator score",
        "higher",
        "judge",
        "Mean logit of a trained discriminator, the same for all; it favours its own generator.",
    ),
}

# Those that are told as a multiple of the unstylized input's own, too. Not KID: it can be negative.
RELATIVE_TO_INPUT = ("swd", "color_histogram", "fid", "warp_short", "warp_long", "flicker")


def described(name: str) -> Metric:
    """The metric of that name; NAME/relative is its ratio to the unstylized input's own."""
    if not name.endswith(RELATIVE):
        return METRICS[name]
    metric = METRICS[name.removesuffix(RELATIVE)]
    return dataclasses.replace(
        metric,
        label=f"{metric.label}, x input's",
        about="The same, as a multiple of the unstylized input's own: of 0.5/255, if that is less.",
        unit="",
    )


def names() -> list[str]:
    """The names of all figures, relative ones after their own."""
    result = []
    for name in METRICS:
        result.append(name)
        if name in RELATIVE_TO_INPUT:
            result.append(name + RELATIVE)
    return result
