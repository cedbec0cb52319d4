/* What clients do together: open, send once each, keep a window full, keep a pace, be idle. */
#define _GNU_SOURCE
#include "generator.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS_AT_ONCE = 512 };
static const uint64_t A_MOMENT_NS = 10000000, QUIET_NS = 300000000;

int loop_fd = -1;
double worst_lag_ms;

/* The load under way: what an answer, or a delivery, leads to. */
static Group *sender, *audience;
static bool answers_lead_on;
static uint64_t deliveries, triggers_sent, answered;
static uint64_t trigger_at[TRIGGERS];
static uint64_t last_frame_ns;
static uint64_t stop_sending_ns;

/* Handles what has come, after waiting for it no longer than that: a pace needs finer waits than milliseconds. */
static void turn(uint64_t longest_ns) {
    struct epoll_event happened[EVENTS_AT_ONCE];
    struct timespec timeout = {(time_t)(longest_ns / 1000000000u), (long)(longest_ns % 1000000000u)};
    uint64_t before = frames_heard;
    int count = epoll_pwait2(loop_fd, happened, EVENTS_AT_ONCE, &timeout, NULL);
    for (int i = 0; i < count; i++)
        if (happened[i].data.ptr != NULL) /* NULL is standard input, which is read between two commands */
            handle_client(happened[i].data.ptr, happened[i].events);
    if (frames_heard != before)
        last_frame_ns = now_ns();
}

static uint64_t after(double seconds) {
    if (seconds > LONGEST_SECONDS)
        seconds = LONGEST_SECONDS;
    return now_ns() + (uint64_t)(seconds * 1e9);
}

static void begin(Group *group, Group *listeners, bool lead_on) {
    sender = group;
    audience = listeners;
    answers_lead_on = lead_on;
    deliveries = triggers_sent = answered = 0;
    for (size_t i = 0; listeners != NULL && i < listeners->count; i++)
        listeners->clients[i].heard = 0;
}

static void trigger(Client *client, bool with_ack) {
    trigger_at[triggers_sent++ % TRIGGERS] = now_ns();
    send_event(client, with_ack);
}

void on_ack(Client *client) {
    if (client->group != sender)
        return;
    answered++;
    if (answers_lead_on && now_ns() < stop_sending_ns)
        send_event(client, true);
}

/* The n-th event that a listener hears is the n-th broadcast: order per socket is kept by every peer. */
void on_event(Client *client) {
    if (client->group != audience)
        return;
    deliveries++;
    if (client->heard < triggers_sent && triggers_sent - client->heard < TRIGGERS)
        remember(&latency, trigger_at[client->heard % TRIGGERS]);
    client->heard++;
}

bool load_open(Group *group, size_t count, size_t at_once, double seconds) {
    uint64_t deadline = after(seconds);
    size_t begun = 0, lost = group->counters.closed;
    if (count > MOST_CLIENTS)
        return false;
    begin(NULL, NULL, false);
    free(group->clients);
    group->clients = calloc(count, sizeof *group->clients);
    group->count = count;
    group->ready = 0;
    while (group->ready + (group->counters.closed - lost) < count && now_ns() < deadline) {
        size_t under_way = begun - group->ready - (group->counters.closed - lost);
        for (; begun < count && under_way < at_once; begun++, under_way++) {
            group->clients[begun] = (Client){.group = group, .index = (uint32_t)begun, .state = FRESH};
            if (!open_client(&group->clients[begun], group->port))
                return false;
        }
        turn(A_MOMENT_NS);
    }
    return group->ready == count;
}

bool load_once(Group *group, size_t at_once, double seconds) {
    uint64_t deadline = after(seconds);
    size_t sent = 0;
    begin(group, NULL, false);
    while (answered < group->count && now_ns() < deadline) {
        for (; sent < group->count && sent - answered < at_once; sent++)
            if (group->clients[sent].state == READY)
                send_event(&group->clients[sent], true);
        turn(A_MOMENT_NS);
    }
    return answered == group->count && group->counters.refused == 0;
}

/* Waits until everything that was sent is answered and delivered, or nothing has come for a while. */
static bool drain(Group *group, bool with_acks, double seconds) {
    uint64_t deadline = after(seconds), sent = group->counters.sent;
    last_frame_ns = now_ns();
    while (now_ns() < deadline) {
        bool all_acks = !with_acks || group->counters.acks >= sent;
        bool all_heard = audience == NULL || deliveries >= sent * audience->count;
        if (all_acks && all_heard && (audience != NULL || now_ns() - last_frame_ns > QUIET_NS))
            return true;
        turn(A_MOMENT_NS);
    }
    return false;
}

/* A window of events without an answer: each answer sends the next one. With listeners, a broadcast is answered when
 * as many deliveries have come as there are listeners. */
bool load_flow(Group *group, uint32_t window, double seconds, Group *listeners) {
    uint64_t deadline = after(seconds);
    stop_sending_ns = deadline;
    begin(group, listeners, listeners == NULL);
    if (listeners == NULL)
        for (size_t i = 0; i < group->count; i++)
            for (uint32_t sent = 0; sent < window && sent < IN_FLIGHT; sent++)
                send_event(&group->clients[i], true);
    while (now_ns() < deadline) {
        while (listeners != NULL && triggers_sent - deliveries / listeners->count < window)
            trigger(&group->clients[triggers_sent % group->count], false);
        turn(A_MOMENT_NS);
    }
    return drain(group, listeners == NULL, 10.0);
}

/* Every client sends once in each interval, the clients spread over it; late events are sent all the same. */
bool load_pace(Group *group, double interval_ms, double seconds, bool with_acks, double drain_seconds,
               Group *listeners) {
    uint64_t start = now_ns(), deadline = after(seconds);
    double gap_ns = interval_ms * 1e6 / (double)group->count;
    uint64_t wanted = (uint64_t)((double)(deadline - start) / gap_ns), due = start;
    begin(group, listeners, false);
    worst_lag_ms = 0;
    for (uint64_t number = 0; number < wanted;) {
        uint64_t now = now_ns();
        for (; number < wanted && (due = start + (uint64_t)((double)number * gap_ns)) <= now; number++) {
            double lag_ms = (double)(now - due) / 1e6;
            if (lag_ms > worst_lag_ms)
                worst_lag_ms = lag_ms;
            Client *client = &group->clients[number % group->count];
            if (client->state == READY)
                trigger(client, with_acks);
        }
        turn(number < wanted && due > now ? due - now : 0);
    }
    return drain(group, with_acks, drain_seconds);
}

void load_idle(double seconds) {
    uint64_t deadline = after(seconds);
    begin(NULL, NULL, false);
    while (now_ns() < deadline)
        turn(A_MOMENT_NS);
}
