import html.parser
import http.client
import json
import socket
import threading
import time
import urllib.error
import urllib.request

import av
import cv2
import numpy as np
import pytest

from jaxstyle.errors import UserError
from jaxstyle.media.film import Frame
from jaxstyle.realtime.controls import Controls
from jaxstyle.realtime.http import HttpSink

STATUS = {"fps": 29.8, "frames": 7}


@pytest.fixture
def controls():
    return Controls(["ink", "anime"])


@pytest.fixture
def sink(controls):
    with HttpSink(controls, ("127.0.0.1", 0), status=lambda: STATUS) as sink:
        yield sink


def picture(level, size=(64, 48)):
    return Frame(np.full((size[1], size[0], 3), (level, 128, 0), np.uint8), 0, 1)


def fetch(url, **options):
    with urllib.request.urlopen(urllib.request.Request(url, **options), timeout=5) as answer:
        return answer.read()


def post(sink, changes, headers=None, path="controls"):
    """Status and content of the answer to a POST of `changes`, as JSON unless it is bytes."""
    body = changes if isinstance(changes, bytes) else json.dumps(changes).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    try:
        return 200, json.loads(fetch(sink.url + path, data=body, headers=headers))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def refusal(url, **options):
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch(url, **options)
    with caught.value as error:
        return error.code


def watch(sink):
    """Opens the stream; the answer is read part by part with `next_picture`."""
    connection = http.client.HTTPConnection(sink.url.split("/")[2], timeout=5)
    connection.request("GET", "/stream")
    return connection.getresponse()


def next_picture(stream):
    while (line := stream.readline()) not in (b"\r\n", b""):
        if line.startswith(b"Content-Length:"):
            length = int(line.split(b":")[1])
    data = np.frombuffer(stream.read(length), np.uint8)
    assert stream.readline() == b"\r\n"
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_watchers_see_each_new_picture_whatever_its_size(sink):
    with watch(sink) as stream:
        assert stream.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=picture"
        for level, size in [(250, (64, 48)), (10, (32, 80)), (120, (641, 359))]:
            sink.write(picture(level, size))
            seen = next_picture(stream)
            assert seen.shape == (size[1], size[0], 3)
            np.testing.assert_allclose(seen[5, 5].astype(int), [level, 128, 0], atol=6)


def test_a_player_reads_the_stream(sink):
    stopped = threading.Event()

    def play():
        while not stopped.wait(0.02):
            sink.write(picture(200))

    writer = threading.Thread(target=play)
    writer.start()
    try:
        with av.open(sink.url + "stream", format="mpjpeg", timeout=5) as container:
            frames = container.decode(video=0)
            assert [(f.width, f.height) for f, _ in zip(frames, range(3), strict=False)] == (
                [(64, 48)] * 3
            )
    finally:
        stopped.set()
        writer.join()


def test_a_slow_watcher_holds_up_nobody_and_then_sees_the_newest(sink):
    noise = np.random.default_rng(0).integers(0, 256, (540, 960, 3), np.uint8)
    with watch(sink) as slow, watch(sink) as quick:
        for _ in range(40):
            sink.write(Frame(noise, 0, 1))
            next_picture(quick)
        sink.write(picture(240))
        # Of the 40, only those that were under way to it are left.
        seen = 0
        while next_picture(slow).shape != (48, 64, 3):
            seen += 1
        assert seen < 35
        assert next_picture(quick).shape == (48, 64, 3)


def test_a_watcher_that_vanishes_is_forgotten(sink, capfd):
    sink.write(picture(1))
    watch(sink).close()
    with watch(sink) as stream:
        next_picture(stream)
        for level in range(20):
            sink.write(picture(level))
            next_picture(stream)
    assert "Traceback" not in capfd.readouterr().err


def test_a_crowd_is_turned_away_but_controls_still_answer(sink, controls):
    sink.write(picture(1))
    watchers = [watch(sink) for _ in range(16)]
    try:
        for watcher in watchers:
            next_picture(watcher)
        assert refusal(sink.url + "stream") == 503
        assert post(sink, {"strength": 0.5})[0] == 200
    finally:
        for watcher in watchers:
            watcher.close()


def test_the_snapshot_is_the_latest_picture(sink):
    assert refusal(sink.url + "snapshot.jpg") == 503
    for level in (10, 200):
        sink.write(picture(level))
    pixels = cv2.imdecode(np.frombuffer(fetch(sink.url + "snapshot.jpg"), np.uint8), 1)
    assert abs(int(pixels[5, 5, 2]) - 200) < 6


def test_controls_are_told_and_changed_as_json(sink, controls):
    told = json.loads(fetch(sink.url + "controls"))
    assert told["styles"] == ["ink", "anime"]
    assert told["settings"]["strength"] == 1.0
    assert told["status"] == STATUS
    status, settings = post(sink, {"strength": 0.5, "action": "next_style"})
    assert (status, settings["strength"], settings["style"]) == (200, 0.5, 1)
    assert (controls.settings.strength, controls.settings.style) == (0.5, 1)


def test_styles_of_one_model_are_mixed_by_weights():
    controls = Controls(["ink", "wave", "film"], bundles=[0, 0, 1])
    with HttpSink(controls, ("127.0.0.1", 0), status=lambda: STATUS) as sink:
        told = json.loads(fetch(sink.url + "controls"))
        assert told["bundles"] == [0, 0, 1]
        assert told["settings"]["weights"] is None
        status, settings = post(sink, {"weights": {"ink": 1, "wave": 3}})
        assert (status, settings["weights"]) == (200, [0.25, 0.75, 0.0])
        status, answer = post(sink, {"weights": {"ink": 1, "film": 1}})
        assert status == 400
        assert answer["error"].startswith("weights mix styles of one model")
        assert post(sink, {"style": "wave"})[1]["weights"] is None


@pytest.mark.parametrize(
    "changes",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 4000,
        [1],
        {"colour": 1},
        {"strength": "much"},
        {"strength": 2},
        {"strength": 0.5, "action": "explode"},
        {"strength": 0.5, "action": ["pause"]},
    ],
)
def test_a_request_that_makes_no_sense_changes_nothing(sink, controls, changes):
    before = controls.settings
    status, answer = post(sink, changes)
    assert status == 400
    assert len(answer["error"].splitlines()) == 1
    assert controls.settings == before


def test_the_page_is_complete_and_its_sliders_reach_no_further_than_the_controls(sink):
    page = fetch(sink.url).decode()
    assert "http:" not in page
    assert "https:" not in page
    sliders = {}

    class Sliders(html.parser.HTMLParser):
        def handle_starttag(self, tag, attributes):
            values = dict(attributes)
            if values.get("type") == "range":
                sliders[values["name"]] = float(values["min"]), float(values["max"])

    Sliders().feed(page)
    assert set(sliders) == {"strength", "mix", "smoothing", "split"}
    for name, ends in sliders.items():
        for end in ends:
            assert post(sink, {name: end})[0] == 200


def test_without_the_token_nothing_is_shown_or_changed(controls):
    with HttpSink(controls, ("127.0.0.1", 0), "a b&c", status=lambda: STATUS) as sink:
        sink.write(picture(1))
        root, _, query = sink.url.partition("?")
        for path in ("", "stream", "snapshot.jpg", "controls", "nowhere"):
            assert refusal(root + path) == 401
            assert refusal(root + path + "?token=wrong") == 401
        assert refusal(root, headers={"Authorization": "Bearer wr\xf6ng"}) == 401
        assert fetch(sink.url)
        assert fetch(f"{root}snapshot.jpg?{query}")
        fetch(root + "controls", headers={"Authorization": "Bearer a b&c"})
        changes = {"data": b'{"strength": 0}', "headers": {"Content-Type": "application/json"}}
        assert refusal(root + "controls", **changes) == 401
        assert controls.settings.strength == 1.0


def test_reachable_from_elsewhere_it_asks_for_a_token_of_its_own(controls, capfd):
    urls = []
    for _ in range(2):
        with HttpSink(controls, ("0.0.0.0", 0), "", status=lambda: STATUS) as sink:
            urls.append(sink.url)
            assert sink.url in capfd.readouterr().err
            port = int(sink.url.partition("?")[0].rpartition(":")[2].strip("/"))
            local = f"http://127.0.0.1:{port}/"
            assert refusal(local) == 401
            assert refusal(local + "?token=") == 401
            # By whatever name it is reached.
            query = sink.url.partition("?")[2]
            assert fetch(local + "controls?" + query, headers={"Host": "studio.example"})
    tokens = [url.partition("token=")[2] for url in urls]
    assert tokens[0] != tokens[1]
    assert min(map(len, tokens)) >= 20


def test_pages_of_other_sites_reach_nothing(sink, controls):
    assert refusal(sink.url + "controls", headers={"Host": "evil.example"}) == 403
    assert refusal(sink.url, headers={"Host": "127.0.0.1.evil.example"}) == 403
    for headers, expected in [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ]:
        assert post(sink, {"strength": 0}, headers)[0] == expected
    assert controls.settings.strength == 1.0
    own = {"Origin": sink.url.rstrip("/")}
    assert post(sink, {"strength": 0}, own)[0] == 200
    assert fetch(sink.url, headers={"Host": "localhost:9000"})  # through a tunnel


def test_bodies_have_a_limit_and_paths_that_are_none_are_not_found(sink, capfd):
    assert post(sink, b" " * 5000)[0] == 413
    assert post(sink, {}, {"Content-Length": "-1"})[0] == 411
    assert post(sink, {}, path="")[0] == 404
    assert refusal(sink.url + "../pyproject.toml") == 404
    with socket.create_connection(("127.0.0.1", port_of(sink)), timeout=5) as client:
        client.sendall(b"GET http://[ HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert b" 404 " in client.recv(100)
    assert "Traceback" not in capfd.readouterr().err


def port_of(sink):
    return int(sink.url.rpartition(":")[2].strip("/"))


def test_leaving_ends_streams_and_frees_the_port(controls):
    with HttpSink(controls, ("127.0.0.1", 0), status=lambda: STATUS) as sink:
        sink.write(picture(1))
        silent = socket.create_connection(("127.0.0.1", port_of(sink)))
        stream = watch(sink)
        next_picture(stream)
        port = port_of(sink)
        started = time.monotonic()
        sink.finish()
    # Far less than what a client is given to answer.
    assert time.monotonic() - started < 5
    with stream, silent:
        stream.read()
        assert silent.recv(1) == b""
    with HttpSink(controls, ("127.0.0.1", port), status=lambda: STATUS) as sink:
        assert port_of(sink) == port


def test_an_address_that_cannot_be_used_is_an_error_with_a_hint(sink, controls):
    for address in [
        ("127.0.0.1", port_of(sink)),
        ("192.0.2.1", 0),
        ("127.0.0.1", 70000),
        ("no such host", 0),
    ]:
        with pytest.raises(UserError, match="name a free port"):
            HttpSink(controls, address, status=lambda: STATUS)
