"""The lines of sr-eval."""

from sr_model.cli.evaluate_output import score_line
from sr_model.evaluation.protocol import Score


def test_the_name_of_an_image_cannot_write_lines_of_its_own_nor_control_a_terminal():
    line = score_line("x2", "a\x1b[2J\nError: all is lost\udcff.png", Score(30.0, 0.9, 29.0, 0.8))
    assert line.isprintable()
    assert line.endswith("Error: all is lost\N{REPLACEMENT CHARACTER}.png")
