from pathlib import Path

from qvdnode.host.loop_files import loop_config


def test_the_configuration_has_the_kernels_layout() -> None:
    config = loop_config(9, 4, Path("/s/homes/3.img"))
    assert len(config) == 304
    assert int.from_bytes(config[:4], "little") == 9
    assert int.from_bytes(config[4:8], "little") == 4096
    flags = 8 + 5 * 8 + 3 * 4
    assert int.from_bytes(config[flags : flags + 4], "little") == 4
    assert config[flags + 4 :].startswith(b"/s/homes/3.img\0")


def test_a_long_name_keeps_its_end() -> None:
    config = loop_config(9, 4, Path("/" + "x" * 100 + "/3.img"))
    assert b"x/3.img\0" in config
    assert len(config) == 304
