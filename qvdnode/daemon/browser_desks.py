"""Builds what shows desktops in browsers."""

from qvdnode.daemon.config import Config
from qvdnode.desk.desks import Desks
from qvdnode.host.cgroups import probe
from qvdnode.proxy.ports import GuestDialer
from qvdnode.runtime.clock import Clock
from qvdnode.session.desktops import Desktops


def browser_desks(config: Config, clock: Clock, desktops: Desktops, dialer: GuestDialer) -> Desks:
    """The desktops in browsers of the node with that configuration."""
    prefix = config.instance().prefix
    relay, uids = config.clients.relay, config.vm.ids
    return Desks(desktops, dialer, relay, config.browser, clock, probe(), prefix, uids)
