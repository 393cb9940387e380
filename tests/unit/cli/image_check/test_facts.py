"""What a guest says of itself is read, and nothing else that it prints."""

from importlib.resources import files

from qvdnode.cli import image_check
from qvdnode.cli.image_check.facts import KEYS, VALUE_MAX, parse


def test_lines_of_the_probe_are_read() -> None:
    assert parse(b"lang=es_ES.UTF-8\nfont_latin=DejaVu Sans\n\nbus=yes\n") == {
        "lang": "es_ES.UTF-8",
        "font_latin": "DejaVu Sans",
        "bus": "yes",
    }


def test_several_lines_of_one_key_are_one_list() -> None:
    assert parse(b"locker=slock\nlocker=xlock\n")["locker"] == "slock xlock"


def test_what_is_empty_or_unknown_is_missing() -> None:
    assert parse(b"lang=\nrm -rf /\nPATH=/evil\nkeyring\n=x\n\xff\xfe=1") == {}


def test_values_are_short_and_can_be_printed() -> None:
    found = parse(b"lang=a\x1b[31mb\n" + b"locker=" + b"x" * VALUE_MAX + b"\nlocker=more\n")
    assert found["lang"] == "a[31mb"
    assert found["locker"] == "x" * VALUE_MAX


def test_the_probe_says_what_is_read_and_nothing_more() -> None:
    script = files(image_check).joinpath("probe.sh").read_text()
    scripts = ["latin", "greek", "cyrillic", "chinese", "japanese", "korean", "emoji"]
    said = {line.split()[1] for line in script.splitlines() if line.strip().startswith("say ")}
    assert said - {'"font_${pair%%:*}"'} <= KEYS
    for key in KEYS:
        word = key.removeprefix("font_")
        assert word in script
        assert (word != key) == (word in scripts)
