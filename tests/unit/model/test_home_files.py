"""An upload has a name of its own until it is whole."""

from qvdnode.model.home_files import Upload


def test_what_has_arrived_is_named_by_the_key() -> None:
    upload = Upload("Documents", "a.txt", 3, "0" * 32, replace=False)
    assert upload.part_name == ".qvd-upload-" + "0" * 32
