"""Fetches the page's libraries again as the files vendor.lock say: `make vendor`.

For developers; who installs or runs a node has the files already. To take another version, change
it in the lock file and run this: it packs each release with npm, copies the named files and the
licence, and writes the hashes and the name of the licence back. tests/unit/web/test_vendor.py
compares files and hashes.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
FOLDERS: Final = (
    ROOT / "qvdnode" / "web" / "static" / "vendor",  # what is served
    ROOT / "tests" / "web" / "vendor",  # what only tests use
)
SOURCE_MAP: Final = b"//# sourceMappingURL"


def main() -> None:
    """Fetch every package of every lock file."""
    for folder in FOLDERS:
        lock = folder / "vendor.lock"
        packages = json.loads(lock.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as work:
            for package in packages:
                vendor(package, folder, Path(work))
                print(f"{package['name']} {package['version']} ({package['licence']})")
        lock.write_text(json.dumps(packages, indent=2) + "\n", encoding="utf-8")


def vendor(package: dict[str, Any], folder: Path, work: Path) -> None:
    """Copy one package's files, and note their hashes and its licence in `package`."""
    root = unpacked(f"{package['name']}@{package['version']}", work)
    package["licence"] = json.loads((root / "package.json").read_text(encoding="utf-8"))["license"]
    plain = package["name"].lstrip("@").replace("/", "-")
    licences = folder / "LICENSES"
    licences.mkdir(exist_ok=True)
    (licences / f"{plain}.txt").write_bytes((root / package["licence_file"]).read_bytes())
    for file in package["files"]:
        source = root / file["from"]
        if bundler := package.get("bundler"):  # many files that import each other, as one module
            source = bundled(source, bundler, work)
        content = without_source_map(source.read_bytes())
        if banner := file.get("banner"):
            content = f"{banner}\n".encode() + content
        if extra := file.get("append"):  # makes a module of a classic script
            content = content.rstrip() + f"\n{extra}\n".encode()
        target = folder / file["to"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        file["sha256"] = hashlib.sha256(content).hexdigest()


def unpacked(release: str, work: Path) -> Path:
    """The folder of a release, fetched and unpacked."""
    command = ["npm", "pack", "--silent", "--ignore-scripts", release]
    done = subprocess.run(command, cwd=work, check=True, stdout=subprocess.PIPE, text=True)
    archive = work / done.stdout.strip().splitlines()[-1]
    folder = archive.with_suffix("")
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return folder / "package"


def bundled(entry: Path, bundler: str, work: Path) -> Path:
    """The module and all that it imports, in one small file."""
    made = work / "bundle.mjs"
    flags = ("--bundle", "--format=esm", "--target=es2022", "--minify", "--legal-comments=none")
    command = ["npx", "--yes", bundler, str(entry), *flags, "--charset=utf8", f"--outfile={made}"]
    subprocess.run(command, cwd=work, check=True)
    return made


def without_source_map(content: bytes) -> bytes:
    """A file without the reference to a source map, which is not shipped."""
    head, mark, _ = content.partition(SOURCE_MAP)
    return head.rstrip() + b"\n" if mark else content


if __name__ == "__main__":
    sys.exit(main())
