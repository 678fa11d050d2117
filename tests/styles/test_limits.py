"""What the figures of a style that ships are called, and which keep their limits."""

from jaxstyle.styles.limits import OF_CLIPS, OF_PHOTOS, keeps, metric_key, rows, verdict


def test_rows_find_every_figure_of_every_style_and_clip():
    styles, clips = ["ink", "wave"], ["walk", "street"]
    keys = [metric_key(f, style) for style in styles for f in OF_PHOTOS]
    keys += [metric_key(f, s, clip) for s in styles for clip in clips for f in OF_CLIPS]
    assert "swd_ratio of ink" in keys
    assert "warp_ratio_8 of wave on street" in keys
    metrics = {key: i / 10 for i, key in enumerate(keys) if key != "edge_f1 of wave"}
    found = rows({"figures": metrics, "measured": {"styles": styles, "clips": clips}})
    assert sorted(v for _, _, v in found if v is not None) == sorted(metrics.values())
    assert [(told, f.name) for told, f, v in found if v is None] == [("wave, photos", "edge_f1")]
    plain = rows({"figures": {"swd": 0.5}, "measured": {"styles": [""], "clips": []}})
    assert [(told, value) for told, f, value in plain if f.name == "swd"] == [("photos", 0.5)]


def test_limits_are_those_of_the_figures_that_have_one():
    limits = {metric.name: metric.limit for metric in (*OF_PHOTOS, *OF_CLIPS) if metric.limit}
    assert limits == {"swd_ratio": 0.6, "warp_ratio_1": 2.0, "warp_ratio_8": 2.0}
    ratio, unlimited = OF_PHOTOS[:2]
    assert keeps(ratio, 0.6)
    assert not keeps(ratio, 0.601)
    # A figure that nobody could measure keeps no promise.
    assert not keeps(ratio, None)
    assert keeps(unlimited, 99.0)
    assert verdict(ratio, 0.7) == "at most 0.6: MISSED"
    assert verdict(ratio, None) == "at most 0.6: not measured"
    assert verdict(unlimited, 99.0) == ""
