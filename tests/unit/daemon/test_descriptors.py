"""A node with few descriptors has smaller ports, says so, and keeps what a start needs."""

import logging
from dataclasses import replace

import pytest

from qvdnode.daemon.config import Config
from qvdnode.daemon.descriptors import PER_CLIENT, fitted, needs
from qvdnode.model.errors import HostFailed

CONFIG = Config()
CONFIG = replace(CONFIG, vm=replace(CONFIG.vm, starts_at_once=4, redraws_at_once=2))


def test_the_unit_file_gives_enough_for_the_defaults(caplog: pytest.LogCaptureFixture) -> None:
    assert needs(CONFIG).all <= 65_536
    assert fitted(CONFIG, 65_536) == CONFIG
    assert caplog.messages == []


def test_a_thousand_are_divided_and_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    config = fitted(CONFIG, 1_000)
    clients, admin = config.clients, config.admin
    assert 50 < clients.connections_max < 200
    assert clients.unauthenticated_total <= clients.connections_max // 2
    assert 100 < admin.connections_max < 400
    assert admin.unauthenticated_total <= admin.connections_max // 2
    held = PER_CLIENT * clients.connections_max + admin.connections_max
    assert held + needs(CONFIG).fixed < 1_000
    assert [record.__dict__["needed"] for record in caplog.records] == [needs(CONFIG).all]


def test_too_few_are_an_error_that_says_how_many() -> None:
    with pytest.raises(HostFailed, match=r"may open 256 files.*LimitNOFILE"):
        fitted(CONFIG, 256)


def test_more_starts_at_once_keep_more() -> None:
    vm = replace(CONFIG.vm, starts_at_once=8)
    assert needs(replace(CONFIG, vm=vm)).fixed > needs(CONFIG).fixed
