import pytest

from qvdnode.model.image_lack import Lacking, Wishes, sentences, wishes_of
from tests.fakes.orders import desktop_order

WISHES = Wishes("es_ES.UTF-8", "Europe/Madrid", "/bin/zsh")


@pytest.mark.parametrize(
    ("lacking", "names"),
    [
        (Lacking(), []),
        (Lacking(locale=True), ["es_ES.UTF-8"]),
        (Lacking(timezone=True), ["Europe/Madrid"]),
        (Lacking(shell=True), ["/bin/zsh"]),
        (Lacking(True, True, True), ["es_ES.UTF-8", "Europe/Madrid", "/bin/zsh"]),
    ],
)
def test_each_lack_has_a_sentence_that_names_it(lacking: Lacking, names: list[str]) -> None:
    said = sentences(WISHES, lacking)
    assert len(said) == len(names)
    for sentence, name in zip(said, names, strict=True):
        assert name in sentence


def test_the_wishes_are_the_flavours() -> None:
    flavour = desktop_order().flavour
    assert wishes_of(flavour) == Wishes(flavour.locale, flavour.timezone, flavour.shell)
