/* Tries each socket family of the kernel; prints "family errno" a line, errno 0 for a socket. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    for (int family = 0; family < 64; family++) {
        int found = socket(family, SOCK_DGRAM, 0);
        if (found < 0)
            found = socket(family, SOCK_STREAM, 0);
        if (found < 0)
            found = socket(family, SOCK_RAW, 0);
        printf("%d %d\n", family, found < 0 ? errno : 0);
        if (found >= 0)
            close(found);
    }
    return 0;
}
