"""The store of images: content by digest, commits, branches; mounts of commits for guests."""
