"""Which test covers a module that has no test of its own name.

One row is one test file below `tests/`, with the modules below `qvdnode/` that it runs: a part of
something whose whole is tested, or a command that only a whole program runs.
`tests/test_architecture.py` holds every row to it, and refuses those that are not needed.
"""

from typing import Final

TESTED_BY: Final = {
    "attacks/test_control_socket.py": (
        "host/lxc_locks.py",
        "host/network_namespaces.py",
        "vm/drivers/lxc_control.py",
    ),
    "attacks/test_host_user.py": ("daemon/opening.py",),
    "attacks/test_kernel_limits.py": ("vm/lock_watch.py",),
    "contract/test_guest_driver.py": (
        "vm/drivers/docker.py",
        "vm/drivers/docker_files.py",
        "vm/drivers/docker_image.py",
        "vm/drivers/group_guests.py",
        "vm/drivers/kvm.py",
        "vm/drivers/lxc.py",
        "vm/drivers/machine_processes.py",
        "vm/drivers/private_files.py",
    ),
    "contract/test_desktop_host.py": (
        "peer/node_links.py",
        "peer/remote_host.py",
    ),
    "e2e/test_browser_desktop.py": (
        "admin/my_screen.py",
        "admin/routes/my_desktops.py",
        "desk/desks.py",
        "desk/nx_end.py",
        "desk/viewing.py",
    ),
    "e2e/test_demo.py": (
        "cli/demo/client.py",
        "cli/demo/command.py",
        "cli/demo/farm.py",
        "cli/demo/run.py",
    ),
    "e2e/test_desktop.py": (
        "daemon/build.py",
        "daemon/serve.py",
    ),
    "e2e/test_xfce.py": ("host/idle_load.py",),
    "e2e/test_farm.py": (
        "cli/qvdnode/join.py",
        "daemon/farm_join.py",
        "daemon/peers.py",
    ),
    "e2e/test_hibernation.py": (
        "memopt/host_tuning.py",
        "memopt/report.py",
    ),
    "e2e/test_port_floods.py": ("host/free_memory.py",),
    "integration/desk/test_sandbox.py": (
        "desk/fit.py",
        "host/sandbox_filter_file.py",
    ),
    "integration/admin/routes/test_audit.py": ("admin/audit_trail.py",),
    "integration/admin/test_dispatch.py": ("admin/endpoint.py",),
    "integration/admin/test_listener.py": (
        "admin/connection.py",
        "admin/http_protocol.py",
    ),
    "integration/admin/test_openapi.py": ("admin/app.py",),
    "integration/admin/test_pages.py": ("admin/headers.py",),
    "integration/broker/test_endpoint.py": (
        "broker/connection.py",
        "tls/port_connections.py",
    ),
    "integration/cli/doctor/test_examine.py": (
        "cli/doctor/command.py",
        "host/probes/mapped_mounts.py",
    ),
    "integration/cli/qvd/test_program.py": (
        "cli/api_client.py",
        "cli/qvd/asking.py",
        "cli/qvd/events.py",
        "cli/qvd/flavour.py",
        "cli/qvd/image.py",
        "cli/qvd/search.py",
        "cli/qvd/session.py",
        "cli/qvd/tenant.py",
        "cli/qvd/token.py",
        "cli/qvd/user.py",
        "cli/qvd/vm.py",
        "cli/qvd/web.py",
    ),
    "integration/cli/qvdnode/test_image.py": ("cli/build_progress.py",),
    "integration/cli/qvdnode/test_image_check.py": (
        "cli/image_check/boot.py",
        "cli/image_check/guest.py",
    ),
    "integration/cli/qvdnode/test_image_store.py": (
        "cli/qvdnode/image_care.py",
        "cli/qvdnode/image_history.py",
        "cli/qvdnode/image_refs.py",
        "image/store/folder_commit.py",
        "image/store/history.py",
        "image/store/usage.py",
    ),
    "integration/cluster/test_membership.py": (
        "cluster/swim_shell.py",
        "cluster/swim_stream.py",
    ),
    "integration/client/test_connect.py": (
        "client/display.py",
        "client/nx_proxy.py",
    ),
    "integration/db/test_backup.py": ("db/restore.py",),
    "integration/db/test_pool.py": ("db/transaction.py",),
    "integration/host/test_kernel_limits.py": ("host/shared_sysctls.py",),
    "integration/host/test_process.py": ("host/child.py",),
    "integration/cli/qvdnode/test_backup.py": ("cli/qvdnode/home_backup.py",),
    "integration/image/home_backup/test_work.py": (
        "image/home_backup/access.py",
        "image/home_backup/reading.py",
        "image/home_backup/store.py",
        "image/home_backup/writing.py",
    ),
    "integration/image/test_any_root.py": ("image/session_files.py",),
    "integration/image/test_desktop_commit.py": ("image/store/upper_reader.py",),
    "integration/image/test_disk_ledger.py": ("image/disk_sizes.py",),
    "integration/image/test_hostile_commit.py": ("image/store/commit_room.py",),
    "integration/image/test_importer.py": (
        "image/import_commit.py",
        "image/paced_stream.py",
        "image/tar_entries.py",
        "image/tree_check.py",
        "image/tree_writer.py",
        "image/unpack.py",
    ),
    "integration/image/test_overlay.py": (
        "host/linux_calls.py",
        "image/free_space.py",
        "image/guest_folders.py",
        "image/homes.py",
    ),
    "integration/image/store/test_mounting.py": (
        "image/store/checkouts.py",
        "image/store/mount_probe.py",
        "image/store/tree_reader.py",
    ),
    "integration/image/store/test_repository.py": (
        "image/store/files.py",
        "image/store/places.py",
    ),
    "integration/net/test_bridge.py": (
        "host/links.py",
        "net/foreign_firewalls.py",
        "net/host_network.py",
    ),
    "integration/peer/test_join_farm.py": (
        "db/farm.py",
        "peer/admission.py",
    ),
    "integration/peer/test_listener.py": (
        "peer/hello.py",
        "peer/own_identity.py",
    ),
    "integration/peer/test_calls.py": (
        "peer/calls_client.py",
        "peer/calls_service.py",
    ),
    "integration/peer/test_guest_stream.py": ("tls/stream_pipe.py",),
    "integration/proxy/test_relay.py": ("proxy/guest_end.py",),
    "unit/cli/test_programs.py": ("cli/program.py",),
    "unit/vm/test_fleet.py": (
        "vm/dependencies.py",
        "vm/display/operations.py",
        "vm/guest/actor.py",
        "vm/guest/bring_up.py",
        "vm/guest/row_writer.py",
        "vm/guest/teardown.py",
        "vm/resources.py",
    ),
    "unit/vm/test_fleet_hibernation.py": ("vm/guest/hibernation.py",),
    "unit/vm/test_fleet_limits.py": ("vm/guest/limit_check.py",),
    "unit/vm/test_display_params.py": ("vm/display/session_script.py",),
}
