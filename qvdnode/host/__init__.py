"""Linux: processes, mounts, cgroups, links, safe file access."""
