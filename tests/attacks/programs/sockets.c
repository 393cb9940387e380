/* Tries each socket family of the kernel by each way into it.
 *
 * Prints "way family errno" a line, errno 0 for a socket that was made. Ways: socket, socketpair,
 * wide (the family with bits above 32, which the kernel cuts off), and on x86 also compat and
 * compat-pair (the 32-bit call through int 0x80), call and call-pair (the 32-bit socketcall) and
 * x32.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAMILIES 64
#define TYPES 4

static const int types[TYPES] = {SOCK_DGRAM, SOCK_STREAM, SOCK_RAW, SOCK_SEQPACKET};

static long by_socket(long family, long type)
{
    return socket(family, type, 0) < 0 ? -errno : 0;
}

static long by_pair(long family, long type)
{
    int made[2];
    return socketpair(family, type, 0, made) < 0 ? -errno : 0;
}

static long by_wide(long family, long type)
{
    return syscall(SYS_socket, family | 1L << 32, type, 0L) < 0 ? -errno : 0;
}

#ifdef __x86_64__
static unsigned int *low; /* memory that a 32-bit pointer can name */

static long compat(long number, long first, long second, long third, long fourth)
{
    long answer;
    __asm__ volatile("int $0x80"
                     : "=a"(answer)
                     : "a"(number), "b"(first), "c"(second), "d"(third), "S"(fourth)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)answer < 0 ? (int)answer : 0;
}

static long by_compat(long family, long type)
{
    return compat(359, family, type, 0, 0);
}

static long by_compat_pair(long family, long type)
{
    return compat(360, family, type, 0, (long)low);
}

static long by_call(long family, long type)
{
    low[0] = family;
    low[1] = type;
    low[2] = 0;
    return compat(102, 1, (long)low, 0, 0);
}

static long by_call_pair(long family, long type)
{
    low[0] = family;
    low[1] = type;
    low[2] = 0;
    low[3] = (long)(low + 8);
    return compat(102, 8, (long)low, 0, 0);
}

static long by_x32(long family, long type)
{
    return syscall(0x40000000L + SYS_socket, family, type, 0L) < 0 ? -errno : 0;
}
#endif

static void try(const char *way, long (*attempt)(long, long))
{
    for (int family = 0; family < FAMILIES; family++) {
        long answer = 0;
        for (int type = 0; type < TYPES; type++)
            if ((answer = attempt(family, types[type])) == 0)
                break;
        printf("%s %d %ld\n", way, family, -answer);
    }
    fflush(stdout);
}

int main(void)
{
    try("socket", by_socket);
    try("socketpair", by_pair);
    try("wide", by_wide);
#ifdef __x86_64__
    low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED)
        return 1;
    try("compat", by_compat);
    try("compat-pair", by_compat_pair);
    try("call", by_call);
    try("call-pair", by_call_pair);
    try("x32", by_x32);
#endif
    return 0;
}
