import pytest

from qvdnode.memopt.core.zram_plan import algorithm, size_bytes


@pytest.mark.parametrize(
    ("offered", "name"),
    [
        ("[lzo-rle] lzo lz4 ", "lz4"),
        ("lzo [zstd]", "zstd"),
        ("[842] deflate", "842"),
        ("", None),
    ],
)
def test_the_fastest_to_read_back_is_used(offered: str, name: str | None) -> None:
    assert algorithm(offered) == name


def test_the_size_is_whole_pages() -> None:
    assert size_bytes(1000, 50) == 500 * 1024 * 1024
    assert size_bytes(1, 33) % 4096 == 0
