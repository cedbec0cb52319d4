/* The floor under any broadcast: one send() for each listener, and nothing else.
 *
 * It understands just enough to stand in for a Socket.IO server under the same load: the upgrade (the key is not
 * answered, the generator does not ask), the open packet, CONNECT, "join", "go" and "bench:event". The frame that it
 * sends to all is made once.
 *
 *   floor PORT EVENT       EVENT is the packet that each "go" broadcasts, for example 42["event",{…}]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_FILES = 65536, READ_BYTES = 65536, FRAMES_AT_ONCE = 256 };

static int epoll;
static bool upgraded[MOST_FILES], joined[MOST_FILES];
static int listeners[MOST_FILES];
static size_t listener_count;
static uint8_t event_frame[4096];
static size_t event_length;

static size_t frame_of(uint8_t *frame, const char *text, size_t length) {
    size_t header = length < 126 ? 2 : 4;
    frame[0] = 0x81;
    frame[1] = (uint8_t)(length < 126 ? length : 126);
    if (header == 4) {
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
    }
    memcpy(frame + header, text, length);
    return header + length;
}

static void say(int fd, const char *text) {
    uint8_t frame[256];
    size_t length = frame_of(frame, text, strlen(text));
    if (send(fd, frame, length, MSG_NOSIGNAL) != (ssize_t)length)
        fprintf(stderr, "floor: a client does not read\n");
}

static void broadcast(void) {
    for (size_t i = 0; i < listener_count; i++)
        /* A full buffer would mean that the generator does not keep up, and the count of deliveries shows it. */
        if (send(listeners[i], event_frame, event_length, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
            listeners[i--] = listeners[--listener_count];
}

static void on_text(int fd, const char *text, size_t length) {
    char answer[32];
    if (length >= 2 && memcmp(text, "40", 2) == 0)
        say(fd, "40{\"sid\":\"floor\"}");
    else if (length > 6 && memmem(text, length, "\"join\"", 6) != NULL) {
        if (!joined[fd])
            listeners[listener_count++] = fd;
        joined[fd] = true;
        snprintf(answer, sizeof answer, "43%d[]", atoi(text + 2));
        say(fd, answer);
    } else if (length > 4 && memmem(text, length, "\"go\"", 4) != NULL)
        broadcast();
    else if (length > 13 && memmem(text, length, "\"bench:event\"", 13) != NULL) {
        snprintf(answer, sizeof answer, "43%d[{}]", atoi(text + 2));
        say(fd, answer);
    }
}

/* Small masked frames, each whole within one read: what the generator sends over loopback. */
static void read_frames(int fd, uint8_t *bytes, size_t length) {
    while (length >= 6) {
        size_t payload = bytes[1] & 127, header = 2;
        if (payload == 126) {
            payload = (size_t)bytes[2] << 8 | bytes[3];
            header = 4;
        }
        uint8_t *mask = bytes + header, *text = mask + 4;
        if (length < header + 4 + payload)
            break;
        for (size_t i = 0; i < payload; i++)
            text[i] ^= mask[i & 3];
        on_text(fd, (const char *)text, payload);
        bytes = text + payload;
        length -= header + 4 + payload;
    }
}

static void forget(int fd) {
    for (size_t i = 0; i < listener_count; i++)
        if (listeners[i] == fd)
            listeners[i--] = listeners[--listener_count];
    upgraded[fd] = joined[fd] = false;
    close(fd);
}

static void on_readable(int fd) {
    static uint8_t bytes[READ_BYTES + 1];
    ssize_t got = recv(fd, bytes, READ_BYTES, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            forget(fd);
        return;
    }
    if (upgraded[fd]) {
        read_frames(fd, bytes, (size_t)got);
        return;
    }
    static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    upgraded[fd] = send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) > 0;
    say(fd, "0{\"sid\":\"floor\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000}");
}

static void accept_all(int server) {
    int fd, on = 1;
    while ((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        if (fd >= MOST_FILES) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 4096) < 0) {
        perror("floor");
        exit(1);
    }
    return server;
}

int main(int argc, char **argv) {
    struct epoll_event happened[FRAMES_AT_ONCE], event = {.events = EPOLLIN};
    if (argc != 3 || strlen(argv[2]) > sizeof event_frame - 4) {
        fprintf(stderr, "usage: floor PORT EVENT\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    event_length = frame_of(event_frame, argv[2], strlen(argv[2]));
    int server = listen_on(atoi(argv[1]));
    epoll = epoll_create1(0);
    event.data.fd = server;
    epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event);
    for (;;) {
        int count = epoll_wait(epoll, happened, FRAMES_AT_ONCE, -1);
        for (int i = 0; i < count; i++) {
            if (happened[i].data.fd == server)
                accept_all(server);
            else
                on_readable(happened[i].data.fd);
        }
    }
}
