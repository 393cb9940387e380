from qvdnode.client.core.sandbox import HOME, SandboxNeeds, sandboxed, unsandboxed

PROGRAM = SandboxNeeds("/usr/bin/nxproxy", ("/tmp/qvd-1/nx", "/tmp/.X11-unix/X0"))


def binds(argv: list[str]) -> set[str]:
    """Return the paths that are mounted into the sandbox."""
    return {
        argv[at + 1] for at, word in enumerate(argv) if word in {"--ro-bind", "--ro-bind-try"}
    }  # fmt: skip


def test_only_programs_and_the_sockets_are_shown() -> None:
    argv = sandboxed(PROGRAM, ("-S",))
    assert binds(argv) == {
        "/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/tmp/qvd-1/nx", "/tmp/.X11-unix/X0",
    }  # fmt: skip
    assert "--bind" not in argv
    assert argv[argv.index("--chdir") + 1] == HOME
    assert argv[-2:] == ["/usr/bin/nxproxy", "-S"]


def test_there_is_no_network_unless_the_display_needs_it() -> None:
    assert "--unshare-all" in sandboxed(PROGRAM, ())
    assert "--share-net" not in sandboxed(PROGRAM, ())
    far = sandboxed(SandboxNeeds("/usr/bin/nxproxy", ("/tmp/qvd-1/nx",), network=True), ())
    assert "--share-net" in far
    assert "/etc/hosts" in binds(far)
    assert "/etc/hosts" not in binds(sandboxed(PROGRAM, ()))


def test_a_program_from_elsewhere_is_shown_itself() -> None:
    argv = sandboxed(SandboxNeeds("/opt/nx/nxproxy"), ())
    assert argv.index("/opt/nx/nxproxy") < argv.index("--")
    assert argv[-1] == "/opt/nx/nxproxy"


def test_limits_are_hard_and_hold_without_a_sandbox_too() -> None:
    for argv in (sandboxed(PROGRAM, ()), unsandboxed("/usr/bin/nxproxy", ())):
        assert "--core=0:0" in argv
    assert any(word.startswith("--nproc=") for word in sandboxed(PROGRAM, ()))
    assert not any(word.startswith("--nproc=") for word in unsandboxed("/usr/bin/nxproxy", ()))
    assert "--no-new-privs" in unsandboxed("/usr/bin/nxproxy", ())


def test_each_filter_is_given_by_its_descriptor() -> None:
    argv = sandboxed(SandboxNeeds("/usr/bin/nxproxy", filters=(5, 7)), ())
    at = argv.index("--seccomp")
    assert argv[at : at + 4] == ["--seccomp", "5", "--seccomp", "7"]
