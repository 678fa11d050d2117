import argparse

import pytest

from jaxstyle.errors import UserError, quiet_without_a_reader, run_command, run_program

ARGS = argparse.Namespace(out="here")


def test_a_command_that_succeeds_gets_its_arguments_and_tells_nothing(capfd):
    seen = []
    assert run_command(seen.append, ARGS, interrupted="nothing is written") == 0
    assert seen == [ARGS]
    assert capfd.readouterr() == ("", "")


def test_bad_input_is_one_line_and_status_1(capfd):
    def refuse(args):
        raise UserError(f"{args.out} exists; --overwrite replaces it")

    with pytest.raises(SystemExit) as exit_info:
        run_command(refuse, ARGS, interrupted="nothing is written")
    assert exit_info.value.code == 1
    assert capfd.readouterr() == ("", "error: here exists; --overwrite replaces it\n")


def test_ctrl_c_tells_what_is_left_and_is_status_130(capfd):
    def interrupt(args):
        raise KeyboardInterrupt

    assert run_command(interrupt, ARGS, interrupted="nothing is written") == 130
    assert capfd.readouterr() == ("", "interrupted: nothing is written\n")


def test_a_mistake_of_ours_keeps_its_traceback():
    def fail(args):
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_command(fail, ARGS, interrupted="nothing is written")


def test_another_closed_pipe_is_no_end():
    with pytest.raises(BrokenPipeError, match="of a worker"), quiet_without_a_reader():
        raise BrokenPipeError("of a worker")


def test_without_any_stdout_a_program_runs(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(SystemExit) as end:
        run_program(lambda: 3)
    assert end.value.code == 3
