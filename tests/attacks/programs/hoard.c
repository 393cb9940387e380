/* Takes as many of one kind of thing as the kernel gives, or as many as the second argument says.
 *
 * Prints "count errno" (errno 0 when it stopped by itself) and leaves a child behind that holds
 * them for HOLD_S. Memory is the guest's, so each kind is bounded in number as well. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOLD_S 25
#define MOST 400000

static long wanted = MOST, taken;
static int watcher = -1;

static int take_instance(void)
{
    return inotify_init1(IN_CLOEXEC);
}

static int watch(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    if (inotify_add_watch(watcher, path, IN_MODIFY | IN_DONT_FOLLOW) < 0)
        return errno == ENOSPC ? ENOSPC : 0;
    return ++taken >= wanted ? -1 : 0;
}

static int take_watches(void)
{
    for (int tree = 0; tree < 100 && taken < wanted; tree++) {
        watcher = inotify_init1(IN_CLOEXEC);
        if (watcher < 0)
            return errno;
        int stopped = nftw("/usr", watch, 64, FTW_PHYS | FTW_MOUNT);
        if (stopped > 0)
            return stopped;
    }
    return 0;
}

static int take_signal(void)
{
    timer_t timer;
    return timer_create(CLOCK_MONOTONIC, NULL, &timer);
}

static int take_queue(void)
{
    struct mq_attr size = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
    char name[64];
    snprintf(name, sizeof name, "/hoard-%d-%ld", getpid(), taken);
    int found = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &size);
    if (found >= 0)
        mq_unlink(name);
    return found;
}

static int take_events(void)
{
    unsigned long context = 0;
    return syscall(SYS_io_setup, 1000, &context);
}

static int take_terminal(void)
{
    return posix_openpt(O_RDWR | O_NOCTTY);
}

/* Locks on files in memory. The list of a file is walked for each, so there are many files. */
static int take_lock_of(int command)
{
    static int file = -1;
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1 };
    if (taken % 2000 == 0) {
        char name[64];
        snprintf(name, sizeof name, "/dev/shm/hoard-%d-%ld", getpid(), taken);
        file = open(name, O_CREAT | O_RDWR, 0600);
        unlink(name);
    }
    lock.l_start = 2 * (taken % 2000);
    return fcntl(file, command, &lock);
}

static int take_lock(void)
{
    return take_lock_of(F_SETLK);
}

static int take_open_file_lock(void)
{
    return take_lock_of(F_OFD_SETLK);
}

static int take_all(int (*take)(void))
{
    while (taken < wanted) {
        if (take() < 0)
            return errno;
        taken++;
    }
    return 0;
}

static int take_own_terminal(void)
{
    return open("/tmp/hoard/ptmx", O_RDWR | O_NOCTTY);
}

/* Beyond the guest's own limit: those of a file system that the user mounts for herself. */
static int take_own_terminals(void)
{
    mkdir("/tmp/hoard", 0755);
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return errno;
    if (mount("none", "/tmp/hoard", "devpts", 0, "newinstance,ptmxmode=0666") < 0)
        return errno;
    return take_all(take_own_terminal);
}

static int take_namespaces(int kind, const char *path)
{
    if (unshare(CLONE_NEWUSER) < 0)
        return errno;
    for (; taken < wanted; taken++)
        if (unshare(kind) < 0 || open(path, O_RDONLY) < 0)
            return errno;
    return 0;
}

/* They outlive the process that made them, with another that has the same open files. */
static int take_orphan_locks(void)
{
    if (syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0) == 0) {
        sleep(HOLD_S);
        _exit(0);
    }
    return take_all(take_lock);
}

static int hoard(const char *kind)
{
    if (!strcmp(kind, "locks"))
        return take_all(take_lock);
    if (!strcmp(kind, "open-file-locks"))
        return take_all(take_open_file_lock);
    if (!strcmp(kind, "orphan-locks"))
        return take_orphan_locks();
    if (!strcmp(kind, "instances"))
        return take_all(take_instance);
    if (!strcmp(kind, "watches"))
        return take_watches();
    if (!strcmp(kind, "signals"))
        return take_all(take_signal);
    if (!strcmp(kind, "queues"))
        return take_all(take_queue);
    if (!strcmp(kind, "events"))
        return take_all(take_events);
    if (!strcmp(kind, "terminals"))
        return take_all(take_terminal);
    if (!strcmp(kind, "own-terminals"))
        return take_own_terminals();
    if (!strcmp(kind, "networks"))
        return take_namespaces(CLONE_NEWNET, "/proc/self/ns/net");
    if (!strcmp(kind, "ipcs"))
        return take_namespaces(CLONE_NEWIPC, "/proc/self/ns/ipc");
    return EINVAL;
}

int main(int count, char **words)
{
    int answer[2];
    struct rlimit files;
    if (count < 2 || pipe(answer) < 0)
        return 2;
    if (count > 2)
        wanted = atol(words[2]);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    pid_t child = fork();
    if (child == 0) {
        int error = hoard(words[1]);
        dprintf(answer[1], "%ld %d\n", taken, error);
        if (!strcmp(words[1], "orphan-locks"))
            _exit(0);
        for (int open = 0; open < 3; open++)
            close(open);
        close(answer[1]);
        if (wanted > 1)
            sleep(HOLD_S);
        _exit(0);
    }
    close(answer[1]);
    char text[64];
    ssize_t length = read(answer[0], text, sizeof text);
    return length > 0 && write(1, text, length) == length ? 0 : 1;
}
