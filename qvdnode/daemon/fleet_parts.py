"""Puts together the desktops of a node."""

from qvdnode.daemon.membership import Membership
from qvdnode.daemon.node_inputs import NodeInputs
from qvdnode.host import merging
from qvdnode.host.boot import boot_id
from qvdnode.host.inotify import Inotify
from qvdnode.image.desktop_commit import DesktopCommits
from qvdnode.image.overlay import OverlayRootfs
from qvdnode.memopt.core.merging import may_merge
from qvdnode.memopt.freezer import HostFreezer
from qvdnode.net.confinement import NftConfinement
from qvdnode.peer.viewer_events import ViewerEvents
from qvdnode.vm.dependencies import FleetDependencies
from qvdnode.vm.driver_table import DriverTable
from qvdnode.vm.fleet import Fleet
from qvdnode.vm.past_starts import StoredPastStarts
from qvdnode.vm.ports import Admission, ImageSupply
from qvdnode.vm.run_folder import TmpfsRunFolders


def build_fleet(  # noqa: PLR0913 - each is a part of the node that guests need
    inputs: NodeInputs,
    drivers: DriverTable,
    membership: Membership,
    confinement: NftConfinement,
    rootfs: OverlayRootfs,
    images: ImageSupply,
    admission: Admission,
    freezer: HostFreezer,
    inotify: Inotify,
    events: ViewerEvents,
) -> Fleet:
    """The fleet; nothing runs yet."""
    config, instance = inputs.config, inputs.instance
    mergeable = merging.obstacle() is None
    return Fleet(
        FleetDependencies(
            drivers=drivers,
            images=images,
            rootfs=rootfs,
            contents=rootfs.contents,
            changes=DesktopCommits(rootfs.versions, config.image),
            confinement=confinement,
            run_folders=TmpfsRunFolders(instance.run_folders, inotify),
            past_starts=StoredPastStarts(instance.past_starts),
            store=membership,
            admission=admission,
            freezer=freezer,
            may_merge=lambda tenant, others: (
                mergeable and may_merge(config.memory.ksm, tenant, others)
            ),
            clock=inputs.clock,
            settings=config.vm,
            instance=instance,
            boot_id=boot_id(),
            lease_problem=membership.lease_problem,
            node_id=membership.node_id,
            tell_viewer=events.deliver,
        )
    )
