// Sends one ICMP echo request to an address by a datagram socket and waits for the answer; then
// tries a raw socket. Prints "echo OUTCOME" and "raw ERRNO".
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static void echo(const char *address) {
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
    if (fd < 0) {
        printf("echo no socket: %s\n", strerror(errno));
        return;
    }
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    struct sockaddr_in to = {.sin_family = AF_INET};
    inet_pton(AF_INET, address, &to.sin_addr);
    struct icmphdr request = {.type = ICMP_ECHO, .un.echo.sequence = htons(1)};
    unsigned char answer[256];
    if (sendto(fd, &request, sizeof request, 0, (struct sockaddr *)&to, sizeof to) < 0) {
        printf("echo not sent: %s\n", strerror(errno));
    } else if (recv(fd, answer, sizeof answer, 0) < (ssize_t)sizeof request) {
        printf("echo not answered: %s\n", strerror(errno));
    } else {
        printf("echo %s\n", answer[0] == ICMP_ECHOREPLY ? "answered" : "odd");
    }
}

int main(int argc, char **argv) {
    echo(argc > 1 ? argv[1] : "127.0.0.1");
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    printf("raw %d\n", raw < 0 ? errno : 0);
    return 0;
}
