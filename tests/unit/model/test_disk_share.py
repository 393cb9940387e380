from qvdnode.model.disk_share import inodes_of


def test_a_small_folder_holds_more_than_its_share() -> None:
    assert [inodes_of(size) for size in (1, 256, 257, 1024)] == [16_384, 16_384, 16_448, 65_536]
