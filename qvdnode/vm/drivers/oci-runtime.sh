#!/bin/sh
# An OCI runtime for Docker: runc, with the configuration that qvdnode has written for a container.
# An engine can give a container neither a root that is mounted already nor ids of its own, so qvdnode
# says the whole of it. Nothing else can be started by this: a container of others has no such file.
here=${0%/*} id='' bundle='' log=/dev/stderr before='' creates=''
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for word; do
    shift
    case $word in
        # The groups are made by their path, as those of guests on LXC are, whatever the engine does.
        --systemd-cgroup) continue ;;
        create | run) creates=yes ;;
    esac
    [ "$before" = --bundle ] && bundle=$word
    [ "$before" = --log ] && log=$word
    before=$word
    id=$word
    set -- "$@" "$word"
done
case $id in '' | *[!0-9a-f]*) id=none ;; esac
if [ -n "$creates" ]; then
    if ! cp "$here/$id.json" "$bundle/config.json"; then
        # The engine shows what an OCI runtime has written last into its log.
        why='this runtime starts desktops of qvdnode, when qvdnode asks for them, and nothing else'
        printf '{"level": "error", "msg": "%s"}\n' "$why" >>"$log"
        exit 1
    fi
fi
# An engine has a million open files, which is much to close for programs that close all they could have.
# At one byte, a program that crashes starts no handler of the host, and leaves no file either.
files=$(ulimit -Hn)
if [ "$files" = unlimited ] || [ "$files" -gt 524288 ]; then files=524288; fi
set -- prlimit --core=1:1 --nofile="$files:$files" runc "$@"
[ -e "$here/$id.merge" ] && exec "$here/merging" "$@"
exec "$@"
