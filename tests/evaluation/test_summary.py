from jaxstyle.evaluation.summary import summary


def test_a_table_for_each_content_with_the_figures_that_there_are():
    document = {
        "contents": [{"name": "clip.mp4"}, {"name": "photos"}],
        "figures": {
            "input": {
                "clip.mp4": {"ms_ssim": 1.0, "flicker/relative": 1.0, "kid": None},
                "photos": {"ms_ssim": 1.0, "flicker/relative": None, "swd/relative": 1.0},
            },
            "a long name": {
                "clip.mp4": {"ms_ssim": 0.81239, "flicker/relative": None, "kid": None},
                "photos": {"ms_ssim": 0.5, "flicker/relative": None, "swd/relative": 0.25},
            },
        },
    }
    assert summary(document).splitlines() == [
        "clip.mp4     ms_ssim ↑  flicker/relative ↓",
        "input                1                   1",
        "a long name      0.812                   -",
        "",
        "photos       swd/relative ↓  ms_ssim ↑",
        "input                     1          1",
        "a long name            0.25        0.5",
    ]
