import pytest

from qvdnode.admin import listener
from qvdnode.model.errors import HostFailed


def test_a_port_in_use_is_told_with_its_setting() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostFailed, match=rf"port {port}: .*\[admin\]"):
            listener.listen("127.0.0.1", port)
