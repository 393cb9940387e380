import pytest

from qvdnode.admin import listener
from qvdnode.model.errors import HostFailed


def test_a_port_in_use_is_told_with_its_setting() -> None:
    with listener.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HostFailed, match=rf"port {port}: .*\[admin\]"):
            listener.listen("127.0.0.1", port)


def test_an_address_of_another_host_is_told_too() -> None:
    with pytest.raises(HostFailed, match=r"192\.0\.2\.1"):
        listener.listen("192.0.2.1", 0)
