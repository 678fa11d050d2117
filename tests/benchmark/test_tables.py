from jaxstyle.benchmark.tables import comparison_table, metrics_table, notes, peers_table


def fields(line):
    return line.split()


def test_every_figure_of_jaxstyle_is_in_its_table(make_cell):
    head, device, end_to_end = metrics_table([make_cell(jaxstyle=4.0)]).splitlines()
    assert "frames/s" in head
    where = ["tiny", "64x32", "1", "float32", "device", "only"]
    facts = ["0.500", "45,112", "0.75", "321"]
    assert fields(device) == [*where, "4.00", "3.60", "6.00", "250.0", "125.0", *facts]
    assert fields(end_to_end)[7:] == ["8.00", "7.20", "12.00", "125.0", "62.5", *facts]


def test_columns_are_as_wide_as_what_is_in_them(make_cell):
    cells = [make_cell(jaxstyle=4.0), make_cell(model="a much longer name", jaxstyle=12345.678)]
    lines = metrics_table(cells).splitlines()
    assert len({line.index("float32") for line in lines[1:]}) == 1
    assert len({len(line) for line in lines}) == 1


def test_peers_stand_beside_jaxstyle_with_the_ratio_to_the_best(make_cell):
    table = peers_table([make_cell(jaxstyle=6.0, torch=4.0, slow=9.0)], ["torch", "slow"])
    head, device, _ = table.splitlines()
    assert fields(head)[5:8] == ["jaxstyle", "torch", "slow"]
    assert fields(device)[6:] == ["6.00", "4.00", "9.00", "1.50"]


def test_what_failed_is_told_in_its_place_and_the_reason_below(make_cell):
    cell = make_cell(jaxstyle=6.0, torch="out of memory (the system killed it)", other="no luck")
    device = peers_table([cell], ["torch", "other"]).splitlines()[1]
    assert device.split("  ")[-1].strip() == "-"
    assert "no memory" in device
    assert "failed" in device
    assert notes([cell]) == [
        "tiny 64x32 1 float32: torch failed: out of memory (the system killed it)",
        "tiny 64x32 1 float32: other failed: no luck",
    ]


def test_a_cell_without_jaxstyle_still_has_its_lines(make_cell):
    cells = [make_cell(jaxstyle="out of memory"), make_cell(model="small", jaxstyle=2.0)]
    assert metrics_table(cells).count("no memory") == 2
    assert peers_table(cells, ["torch"]).count("no memory") == 2
    assert "2.00" in metrics_table(cells)


def test_another_output_is_marked_and_does_not_count_as_the_best(make_cell):
    cell = make_cell(jaxstyle=6.0, torch=4.0, wrong=1.0)
    cell["contestants"]["wrong"]["device"] |= {"comparable": False, "difference": 0.5}
    device = peers_table([cell], ["torch", "wrong"]).splitlines()[1]
    assert fields(device)[6:] == ["6.00", "4.00", "!1.00", "1.50"]
    (note,) = notes([cell])
    assert "wrong" in note
    assert "0.5 off" in note


def test_the_comparison_has_the_figures_that_both_runs_have(make_cell):
    then = [make_cell(jaxstyle=4.0, torch=5.0), make_cell(width=128, jaxstyle=8.0)]
    now = [make_cell(jaxstyle=3.0, torch="out of memory"), make_cell(width=256, jaxstyle=9.0)]
    _, device, end_to_end = comparison_table(now, then).splitlines()
    assert fields(device)[6:] == ["jaxstyle", "4.00", "3.00", "0.75"]
    assert fields(end_to_end)[7:] == ["jaxstyle", "8.00", "6.00", "0.75"]


def test_runs_without_a_common_figure_have_no_comparison(make_cell):
    assert comparison_table([make_cell(jaxstyle=3.0)], [make_cell(width=8, jaxstyle=3.0)]) == ""
