"""The engine's image of all guests: nothing, in the form that `docker load` takes.

An engine makes no container without an image. A guest's root is mounted already (oci-runtime.sh),
so there is nothing that an image could hold.
"""

import hashlib
import io
import json
import tarfile

from qvdnode.vm.core.docker_spec import IMAGE, IMAGE_TAG, LABEL

NO_FILES = bytes(1024)
"""A tar archive of nothing: two empty blocks."""


def empty_image() -> bytes:
    """An archive of one image; the same bytes each time, so that engines have it once."""
    layer = hashlib.sha256(NO_FILES).hexdigest()
    about = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": {LABEL: "guest"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created_by": "qvdnode", "comment": "The root is mounted at the start."}],
    }
    config = json.dumps(about, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{layer}/layer.tar"
    manifest = [
        {"Config": config_name, "RepoTags": [f"{IMAGE}:{IMAGE_TAG}"], "Layers": [layer_name]}
    ]
    files = {
        config_name: config,
        layer_name: NO_FILES,
        "manifest.json": json.dumps(manifest).encode(),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
