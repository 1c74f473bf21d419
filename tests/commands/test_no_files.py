"""vmambair restore refuses pipes and devices, which might block or never end."""

import os

import pytest

from vmambair_arch import cli


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("output", ["out", "out.png", "-"])
@pytest.mark.parametrize("source", ["pipe.png", "/dev/zero"])
def test_pipes_and_devices_are_refused_without_reading_them(empty_folder, capsys, source, output):
    os.mkfifo("pipe.png")
    assert cli.vmambair(["restore", source, "-o", output]) == 2
    assert f"{source}: is a pipe or a device" in capsys.readouterr().err
