/* Sends a byte to COUNT addresses from BASE on (IPv4) and as many of the link's own IPv6 network,
 * for a second: the kernel makes an entry of its one table of neighbours for each that is on the
 * link. Prints how many sends it took. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EACH 100 /* addresses for one socket, whose buffer holds what waits for an answer */

static long taken;

static void send_to(int family, unsigned base, int count)
{
    int from = -1;
    for (int i = 0; i < count; i++) {
        if (i % EACH == 0) {
            close(from);
            from = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        }
        struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(9) };
        four.sin_addr.s_addr = htonl(base + i);
        struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(9) };
        inet_pton(AF_INET6, "fe80::1:0:0", &six.sin6_addr);
        six.sin6_addr.s6_addr[14] = i >> 8;
        six.sin6_addr.s6_addr[15] = i;
        six.sin6_scope_id = if_nametoindex("eth0");
        taken += family == AF_INET
            ? sendto(from, "x", 1, 0, (struct sockaddr *)&four, sizeof four) == 1
            : sendto(from, "x", 1, 0, (struct sockaddr *)&six, sizeof six) == 1;
    }
    close(from);
}

int main(int words, char **word)
{
    if (words < 3)
        return 2;
    for (time_t end = time(NULL) + 2; time(NULL) < end; usleep(100000)) {
        send_to(AF_INET, ntohl(inet_addr(word[1])), atoi(word[2]));
        send_to(AF_INET6, 0, atoi(word[2]));
    }
    printf("%ld\n", taken);
    return 0;
}
