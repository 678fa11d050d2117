"""`jaxstyle doctor`: what there is, what is missing, what is broken."""

import fcntl
import json
import struct
import subprocess
import sys

import pytest

from jaxstyle import doctor
from jaxstyle.commands import cameras_here, run_doctor
from jaxstyle.extras import MODULES, UNTESTED_MODULES
from jaxstyle.inference import shipped_styles


@pytest.fixture
def found(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "some").write_bytes(bytes(2_500_000))
    monkeypatch.setattr(run_doctor, "CACHE", tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return run_doctor.findings()


def test_what_stylizing_needs_is_found(found):
    assert found["broken"] == []
    assert all(found["versions"].values())
    assert found["jax"]["backend"] == "cpu"
    assert len(found["jax"]["devices"]) == 4  # see conftest.py
    assert found["cache"]["megabytes"] == 2.5
    assert found["styles"] == shipped_styles.names()
    assert found["codecs"]["h264"] == {"decoders": ["h264"], "encoders": ["libx264"]}
    assert set(found["extras"]) == set(MODULES | UNTESTED_MODULES) == set(run_doctor.PURPOSES)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_without_a_display_there_is_no_window(found):
    assert "no display" in found["window"]["obstacle"]
    assert "no display" in run_doctor.as_text(found)


def test_the_text_has_what_the_findings_have(found):
    found["extras"]["onnx"] = ["onnxruntime"]
    found["cameras"] = [{"number": 2, "name": "Webcam C920", "obstacle": "busy"}]
    text = run_doctor.as_text(found)
    # Names in one column, whose longest is this.
    column = slice(len("JAX computes on"), len("JAX computes on  "))
    assert {line[column] for line in text.splitlines() if line} == {"  "}
    assert "pip install 'jaxstyle[onnx]', to export to ONNX; lacks onnxruntime\n" in text
    assert "2, Webcam C920: busy" in text
    for version in found["versions"].values():
        assert version in text


def test_json_is_the_same_and_the_status_is_that_of_the_findings(monkeypatch, capsys, found):
    monkeypatch.setattr(run_doctor, "findings", lambda: found)
    assert doctor.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    found["broken"].append("numpy: ImportError: no")
    assert doctor.main([]) == 1
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.slow
def test_a_broken_package_is_told_and_the_rest_goes_on():
    script = (
        "import sys; sys.modules['safetensors'] = None;"
        "sys.modules['onnx'] = None; sys.modules['optax'] = None;"
        "from jaxstyle.doctor import main; sys.exit(main(['--json']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    (problem,) = found["broken"]
    assert problem.startswith("safetensors: ModuleNotFoundError")
    assert found["versions"]["safetensors"] is None
    assert found["extras"]["onnx"] == ["onnx"]
    assert "optax" in found["extras"]["train"]
    assert found["codecs"]["vp9"]["encoders"] == ["libvpx-vp9"]


def test_cameras_are_told_from_other_video_devices(monkeypatch, tmp_path):
    """Linux: 0 takes pictures, 1 has metadata only, 2 is no device at all."""
    for name in ("video0", "video1", "video2", "video10", "videos"):
        (tmp_path / name).touch()
    opened = {}
    abilities = {"video0": 0x1, "video1": 0x800000, "video10": 0x1000}
    real_open = cameras_here.os.open

    def noted_open(path, flags):
        file = real_open(path, flags)
        opened[file] = path.name
        return file

    def ioctl(file, request, answer):
        if opened[file] not in abilities:
            raise OSError("not a device")
        struct.pack_into("=I", answer, 88, abilities[opened[file]])

    monkeypatch.setattr(cameras_here.os, "open", noted_open)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(sys, "platform", "linux")
    found = cameras_here.cameras_here(tmp_path)
    assert [camera["number"] for camera in found] == [0, 10]
    assert all(camera["obstacle"] == "" for camera in found)


def test_a_camera_without_permission_is_told_with_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "video0").touch()

    def refuse(path, flags):
        raise PermissionError

    monkeypatch.setattr(cameras_here.os, "open", refuse)
    monkeypatch.setattr(sys, "platform", "linux")
    (camera,) = cameras_here.cameras_here(tmp_path)
    assert "no permission" in camera["obstacle"]
