import threading

import pytest

from jaxstyle.files.atomic_file import one_process_at_a_time


@pytest.mark.skipif("sys.platform == 'win32'")
def test_one_at_a_time_and_the_others_wait(tmp_path, capsys):
    order = []

    def second():
        with one_process_at_a_time(tmp_path, "rendering"):
            order.append("second")

    waiting = threading.Thread(target=second)
    with one_process_at_a_time(tmp_path, "rendering"):
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().err == "waiting for another process: rendering\n"
    assert list(tmp_path.iterdir()) == []


def test_another_folder_is_not_waited_for(tmp_path, capsys):
    (tmp_path / "other").mkdir()
    with one_process_at_a_time(tmp_path, "a"), one_process_at_a_time(tmp_path / "other", "b"):
        pass
    assert capsys.readouterr().err == ""
