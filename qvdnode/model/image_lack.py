"""What a flavour asks for and an image does not have. Pure."""

from dataclasses import dataclass
from typing import Final

from qvdnode.model.farm import FlavourDraft

OWN_LOCALE: Final = "C.UTF-8"
"""A flavour that names it gets the image's own, and every image has it."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a flavour wants of its image by name."""

    locale: str
    timezone: str
    shell: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """Which of them the image lacks."""

    locale: bool = False
    timezone: bool = False
    shell: bool = False


def wishes_of(flavour: FlavourDraft) -> Wishes:
    """What a flavour wants of its image by name."""
    return Wishes(flavour.locale, flavour.timezone, flavour.shell)


def sentences(wishes: Wishes, lacking: Lacking) -> list[str]:
    """What to tell an administrator, with what desktops get instead."""
    said = []
    if lacking.locale:
        said.append(
            f"The image has no locale {wishes.locale}: desktops start with the image's own. Build"
            f" it with --locale {wishes.locale}."
        )
    if lacking.timezone:
        said.append(
            f"The image has no time zone {wishes.timezone}: desktops start with the image's own."
            " It needs the package tzdata, and tzdata-legacy for old names."
        )
    if lacking.shell:
        said.append(
            f"The image has no shell {wishes.shell}: users get /bin/sh. Add its package to the"
            " image."
        )
    return said
