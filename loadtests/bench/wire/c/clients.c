/* One Socket.IO client over one TCP connection: WebSocket upgrade, Engine.IO open, CONNECT, events, acks, pings.
 *
 * It reads what servers send (unmasked, unfragmented frames) and does as little as it can with it: counting must cost
 * less than serving, or the generator would be what is measured.
 */
#define _GNU_SOURCE
#include "generator.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, READ_BYTES = 256 * 1024 };

uint64_t frames_heard;
Histogram latency, sightings;
static uint8_t inbound[READ_BYTES];

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Latencies: 16 buckets to each doubling, so that a percentile is right within 6 %. */
void remember(Histogram *histogram, uint64_t since_ns) {
    uint64_t us = (now_ns() - since_ns) / 1000 + 1;
    int doubling = 63 - __builtin_clzll(us);
    uint64_t within = doubling > 4 ? (us >> (doubling - 4)) & 15 : (us << (4 - doubling)) & 15;
    histogram->buckets[doubling * 16 + (int)within]++;
    histogram->count++;
    if (us > histogram->largest)
        histogram->largest = us;
}

uint64_t percentile_us(const Histogram *histogram, double share) {
    uint64_t wanted = (uint64_t)(share * (double)histogram->count), seen = 0;
    for (int i = 0; i < 64 * 16; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted)
            return (uint64_t)((1.0 + (i % 16) / 16.0) * (double)(1ull << (i / 16)));
    }
    return 0;
}

/* Once: what refuses one client mostly refuses thousands. */
static void complain(const char *what, const uint8_t *text, size_t length) {
    static bool complained;
    if (!complained)
        fprintf(stderr, "generator: %s %.*s\n", what, (int)(length < 200 ? length : 200), (const char *)text);
    complained = true;
}

static void watch(Client *client, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = client};
    epoll_ctl(loop_fd, operation, client->fd, &event);
}

void close_client(Client *client) {
    if (client->state == FRESH || client->state == CLOSED)
        return;
    /* A reset leaves no port in TIME_WAIT: thousands of connections follow one another. */
    struct linger reset = {1, 0};
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(client->fd);
    free(client->sent_at);
    free(client->turned_at);
    free(client->last_turn);
    free(client->rest);
    free(client->unsent);
    if (client->state == READY)
        client->group->ready--;
    client->sent_at = client->turned_at = NULL;
    client->last_turn = NULL;
    client->rest = client->unsent = NULL;
    client->rest_length = client->unsent_length = 0;
    client->state = CLOSED;
    client->group->counters.closed++;
}

static void write_bytes(Client *client, const void *bytes, size_t length) {
    ssize_t written = 0;
    if (client->unsent_length == 0) {
        written = send(client->fd, bytes, length, MSG_NOSIGNAL);
        if (written < 0 && errno != EAGAIN && errno != EINPROGRESS) {
            close_client(client);
            return;
        }
        if (written < 0)
            written = 0;
    }
    if ((size_t)written == length)
        return;
    size_t left = length - (size_t)written;
    client->unsent = realloc(client->unsent, client->unsent_length + left);
    memcpy(client->unsent + client->unsent_length, (const uint8_t *)bytes + written, left);
    client->unsent_length += left;
    watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

static void write_frame(Client *client, int opcode, const char *payload, size_t length) {
    uint8_t frame[LONGEST_EVENT + 8];
    size_t header = length < 126 ? 2 : 4;
    if (length > LONGEST_EVENT)
        return;
    frame[0] = (uint8_t)(0x80 | opcode);
    frame[1] = (uint8_t)(0x80 | (length < 126 ? length : 126));
    if (header == 4) {
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
    }
    memcpy(frame + header, MASK, 4);
    for (size_t i = 0; i < length; i++)
        frame[header + 4 + i] = (uint8_t)payload[i] ^ MASK[i & 3];
    write_bytes(client, frame, header + 4 + length);
}

static void write_text(Client *client, const char *text) { write_frame(client, OP_TEXT, text, strlen(text)); }

void send_event(Client *client, bool with_ack) {
    Group *group = client->group;
    char text[LONGEST_EVENT];
    size_t which = client->index < group->template_count ? client->index : group->template_count - 1;
    long ack_id = with_ack ? (long)client->next_ack++ : -1;
    if (group->together)
        turned(client, client->next_sequence);
    size_t length = write_event(text, sizeof text, &group->templates[which], client->next_sequence++, ack_id);
    if (with_ack) {
        if (client->sent_at == NULL)
            client->sent_at = calloc(IN_FLIGHT, sizeof *client->sent_at);
        client->sent_at[ack_id % IN_FLIGHT] = now_ns();
    }
    group->counters.sent++;
    write_frame(client, OP_TEXT, text, length);
}

bool open_client(Client *client, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        close(client->fd);
        return false;
    }
    client->state = UPGRADING;
    client->next_ack = client->next_sequence = client->heard = 0;
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", port);
    client->unsent = malloc((size_t)length);
    memcpy(client->unsent, request, (size_t)length);
    client->unsent_length = (size_t)length;
    watch(client, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return true;
}

static void become_ready(Client *client) {
    client->state = READY;
    client->group->ready++;
}

static void begin_session(Client *client) {
    Group *group = client->group;
    char connect_packet[LONGEST_EVENT];
    const char *auth = "";
    if (group->auth_count)
        auth = group->auths[client->index < group->auth_count ? client->index : group->auth_count - 1];
    snprintf(connect_packet, sizeof connect_packet, "40%s", auth);
    client->state = JOINING;
    write_text(client, connect_packet);
}

static void on_event_packet(Client *client, const uint8_t *text, size_t length) {
    Group *group = client->group;
    if (client->state == JOINING && group->greeted) {
        become_ready(client);
        return;
    }
    group->counters.events++;
    if (group->counts_rows)
        group->counters.rows += see_rows(client, text, length);
    on_event(client);
}

static void on_ack_packet(Client *client, const uint8_t *text, size_t length) {
    uint32_t id = 0;
    size_t at = 2;
    for (; at < length && text[at] >= '0' && text[at] <= '9'; at++)
        id = id * 10 + (uint32_t)(text[at] - '0');
    bool refused = length - at > 9 && memcmp(text + at, "[{\"error\"", 9) == 0;
    client->group->counters.acks++;
    client->group->counters.refused += refused;
    if (client->sent_at != NULL)
        remember(&latency, client->sent_at[id % IN_FLIGHT]);
    on_ack(client);
}

static void on_text(Client *client, const uint8_t *text, size_t length) {
    if (length == 0)
        return;
    if (text[0] == '0' && client->state == OPENING)
        begin_session(client);
    else if (text[0] == '2')
        write_text(client, "3");
    else if (text[0] == '4' && length > 1) {
        if (text[1] == '2')
            on_event_packet(client, text, length);
        else if (text[1] == '3')
            on_ack_packet(client, text, length);
        else if (text[1] == '0' && !client->group->greeted)
            become_ready(client);
        else if (text[1] == '1' || text[1] == '4') {
            complain("the server said", text, length);
            close_client(client);
        }
    }
}

static void on_frame(Client *client, int opcode, const uint8_t *payload, size_t length, size_t whole) {
    client->group->counters.frames++;
    client->group->counters.bytes += whole;
    frames_heard++;
    if (opcode == OP_TEXT)
        on_text(client, payload, length);
    else if (opcode == OP_PING)
        write_frame(client, OP_PONG, (const char *)payload, length);
    else if (opcode == OP_CLOSE)
        close_client(client);
}

/* Handles the whole frames in the bytes, and says how many bytes these were. */
static size_t read_frames(Client *client, const uint8_t *bytes, size_t length) {
    size_t at = 0;
    while (client->state != CLOSED && length - at >= 2) {
        const uint8_t *frame = bytes + at;
        size_t payload = frame[1] & 127, header = 2;
        if (payload == 126)
            header = 4;
        else if (payload == 127)
            header = 10;
        if (length - at < header)
            break;
        if (header > 2) {
            payload = 0;
            for (size_t i = 2; i < header; i++)
                payload = payload << 8 | frame[i];
        }
        if (length - at < header + payload)
            break;
        on_frame(client, frame[0] & 15, frame + header, payload, header + payload);
        at += header + payload;
    }
    return at;
}

static size_t read_upgrade(Client *client, const uint8_t *bytes, size_t length) {
    const uint8_t *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    if (length < 12 || memcmp(bytes, "HTTP/1.1 101", 12) != 0) {
        complain("the server answered", bytes, length);
        close_client(client);
        return length;
    }
    client->state = OPENING;
    return (size_t)(end - bytes) + 4;
}

static void keep_rest(Client *client, const uint8_t *bytes, size_t length) {
    uint8_t *kept = NULL;
    if (length > 0) {
        kept = malloc(length);
        memcpy(kept, bytes, length);
    }
    free(client->rest);
    client->rest = kept;
    client->rest_length = length;
}

static void on_readable(Client *client) {
    size_t before = client->rest_length;
    if (before >= sizeof inbound) {
        close_client(client); /* no frame of a benchmark is as large as that */
        return;
    }
    if (before)
        memcpy(inbound, client->rest, before);
    ssize_t got = recv(client->fd, inbound + before, sizeof inbound - before, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        close_client(client);
        return;
    }
    size_t length = before + (size_t)got, used = 0;
    if (client->state == UPGRADING)
        used = read_upgrade(client, inbound, length);
    if (client->state != UPGRADING && client->state != CLOSED)
        used += read_frames(client, inbound + used, length - used);
    if (client->state != CLOSED && (before || used < length))
        keep_rest(client, inbound + used, length - used);
}

static void on_writable(Client *client) {
    ssize_t written = send(client->fd, client->unsent, client->unsent_length, MSG_NOSIGNAL);
    if (written < 0) {
        if (errno != EAGAIN)
            close_client(client);
        return;
    }
    client->unsent_length -= (size_t)written;
    memmove(client->unsent, client->unsent + written, client->unsent_length);
    if (client->unsent_length == 0) {
        free(client->unsent);
        client->unsent = NULL;
        watch(client, EPOLL_CTL_MOD, EPOLLIN);
    }
}

void handle_client(Client *client, uint32_t happened) {
    if (client->state != CLOSED && (happened & EPOLLOUT) && client->unsent_length)
        on_writable(client);
    if (client->state != CLOSED && (happened & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        on_readable(client);
}
