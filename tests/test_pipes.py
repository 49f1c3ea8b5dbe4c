"""A pipe in the place of a file is refused: opening one waits until somebody writes, perhaps for ever."""

import os
import threading
from pathlib import Path

import pytest

from dgp_mining.prior.continuoussr_table import read_continuoussr_table
from dgp_mining.prior.dictionary import Dictionary
from sr_model.checkpoints.checkpoint import Checkpoint
from sr_model.config.toml import read_config


def settings_of(path: Path) -> object:
    return read_config(path, ["steps"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("read", [Dictionary.load, read_continuoussr_table, settings_of, Checkpoint.load])
def test_no_reader_waits_for_somebody_who_writes(tmp_path: Path, read):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Timer(5, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
    writer.start()  # so that one that waits fails, and not this test's run
    try:
        with pytest.raises(ValueError, match=r"pipe.*is (a pipe, not|not) a file"):
            read(path)
    finally:
        writer.cancel()
