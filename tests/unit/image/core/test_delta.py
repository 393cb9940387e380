"""What each object is sent as a patch on."""

from qvdnode.image.core.delta import Step, steps
from qvdnode.image.core.manifest import Kind, Node

A, B, C, D = ("0" * 63 + digit for digit in "abcd")


def file(digest: str, size: int = 100) -> Node:
    return Node(Kind.FILE, size=size, payload=digest.encode())


def test_an_object_is_a_patch_on_what_stood_at_its_path() -> None:
    old = {b"/a": file(A, 90), b"/gone": file(D)}
    new = {b"/a": file(B), b"/new": file(C)}
    assert steps(old, new, {B, C}) == [Step(B, 100, A, 90), Step(C, 100)]
    assert steps(None, new, {B}) == [Step(B, 100)]


def test_a_name_with_another_version_counts_as_the_same_file() -> None:
    old = {b"/lib/libx.so.1.2.3": file(A), b"/lib/z": Node(Kind.SYMLINK, payload=b"x")}
    new = {b"/lib/libx.so.1.2.14": file(B), b"/lib/z": file(C)}
    assert steps(old, new, {B, C}) == [Step(B, 100, A, 100), Step(C, 100)]


def test_an_object_at_several_paths_comes_once_with_a_base_if_any_has_one() -> None:
    old = {b"/b": file(A)}
    new = {b"/a": file(B), b"/b": file(B), b"/c": file(B)}
    assert steps(old, new, {B}) == [Step(B, 100, A, 100)]
    assert steps(old, new, set()) == []
