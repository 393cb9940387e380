"""The root of a version of an image, mounted to be looked at; a state folder's end unmounts it."""

import secrets
from pathlib import Path

from qvdnode.image.settings import ImageSettings
from qvdnode.image.versions import ImageVersions
from qvdnode.model.ids import ImageId


def seen_version(settings: ImageSettings, image_id: ImageId, version: int) -> Path:
    versions = ImageVersions(settings)
    found = versions.commit_of(image_id, version)
    assert found is not None
    return versions.mounts.keep(f"test-{secrets.token_hex(4)}", found.commit)
