"""What a Docker engine answers, or whatever listens in its place."""

import contextlib
import json
from typing import Final

from fuzz.target import Target
from qvdnode.vm.core import docker_spec
from qvdnode.vm.core.docker_spec import ID, OddAnswer


def engine_answers(data: bytes) -> None:
    """Any answer is read or refused, and an id is never a path."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return
    with contextlib.suppress(OddAnswer):
        docker_spec.too_old(docker_spec.api_version(answer))
    with contextlib.suppress(OddAnswer):
        docker_spec.facts(answer)
    with contextlib.suppress(OddAnswer):
        docker_spec.exit_code(answer)
    with contextlib.suppress(OddAnswer):
        docker_spec.pid(answer)
    with contextlib.suppress(OddAnswer):
        for container in docker_spec.containers(answer):
            if ID.fullmatch(container.container_id) is None:
                raise AssertionError(container)


TARGETS: Final[dict[str, Target]] = {
    "engine_answers": Target(
        engine_answers,
        (
            b'{"ApiVersion": "1.41", "ServerVersion": "20.10", "Runtimes": {"a": {"path": "b"}}}',
            b'{"Running": false, "ExitCode": 0, "Pid": 7}',
            b'[{"Id": "'
            + b"0" * 64
            + b'", "Names": ["/a"], "Labels": {"org.qvdnode.instance": 1}}]',
        ),
    ),
}
