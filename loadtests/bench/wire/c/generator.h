/* The load generator of the wire benchmark: many Socket.IO clients over raw TCP in one process and one thread.
 *
 * It is driven by commands on standard input and answers each with one line of JSON (see generator.c). It speaks to
 * 127.0.0.1 only, everything it does is bounded in number and time, and it ends with whoever started it.
 */
#ifndef GENERATOR_H
#define GENERATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MOST_GROUPS = 8,
    MOST_CLIENTS = 20000,
    IN_FLIGHT = 64,          /* unanswered events of one client whose times are kept */
    TRIGGERS = 4096,         /* broadcasts under way whose times are kept */
    LONGEST_EVENT = 4096,
    TURNS = 180,             /* sendings of a rider that can be told apart, by the heading */
    MOST_RIDER_NUMBERS = 1 << 17,
};
#define LONGEST_SECONDS 120.0

typedef enum { FRESH, UPGRADING, OPENING, JOINING, READY, CLOSED } State;

typedef struct {
    uint64_t sent, acks, refused, frames, bytes, events, rows, closed;
} Counters;

/* What an event is made of: text, and parts that differ from one sending to the next. */
typedef enum { TEXT, SEQUENCE, NOW_MS, WAVE, TURN } PartKind;
typedef struct { PartKind kind; const char *text; size_t length; long base; } Part;
typedef struct { Part *parts; size_t count; } Template;

struct Group;

typedef struct {
    int fd;
    State state;
    struct Group *group;
    uint32_t index;          /* in its group */
    uint32_t next_ack, next_sequence, heard;
    bool wants_write;
    uint64_t *sent_at;       /* by ack id; made with the first event that asks for an ack */
    uint64_t *turned_at;     /* by turn: when it was sent, for those whose dots are looked for */
    uint8_t *last_turn;      /* by the rider's place among those who are looked for together: what was seen last */
    uint8_t *rest;           /* the beginning of a frame whose end has not come yet */
    size_t rest_length;
    uint8_t *unsent;
    size_t unsent_length;
} Client;

typedef struct Group {
    char name[32];
    char **auths;            /* line i is client i's CONNECT payload; the last one goes for all that follow */
    size_t auth_count;
    Template *templates;     /* the same for events */
    size_t template_count;
    bool greeted;            /* a client is ready when its first event has come, not with the answer to CONNECT */
    bool counts_rows;        /* count the riders in location:frame */
    int port;                /* its server's */
    uint32_t together;       /* how many, in the order of their numbers, see one another; 0: nobody looks for them */
    Client *clients;
    size_t count, ready;
    Counters counters;
} Group;

typedef struct {
    uint64_t buckets[64 * 16], count, largest;
} Histogram;

/* clients.c */
extern uint64_t frames_heard;
extern Histogram latency, sightings;
void on_ack(Client *client);                    /* load.c: a client's event was answered */
void on_event(Client *client);                  /* load.c: a client heard an event */
bool open_client(Client *client, int port);
void handle_client(Client *client, uint32_t happened);
void send_event(Client *client, bool with_ack);
void close_client(Client *client);
uint64_t now_ns(void);
uint64_t percentile_us(const Histogram *histogram, double share);
void remember(Histogram *histogram, uint64_t since_ns);

/* sight.c */
bool look_for(Group *group, const char *path, uint32_t together);
void turned(Client *client, uint32_t sequence); /* it is about to send this */
uint64_t see_rows(Client *client, const uint8_t *text, size_t length);

/* templates.c */
char **read_lines(const char *path, size_t *count);
Template *read_templates(const char *path, size_t *count);
size_t write_event(char *out, size_t room, const Template *template, uint32_t sequence, long ack_id);

/* load.c: the commands; true when everything that was asked for has happened within the time */
extern int loop_fd;
bool load_open(Group *group, size_t count, size_t at_once, double seconds);
bool load_once(Group *group, size_t at_once, double seconds);
bool load_flow(Group *group, uint32_t window, double seconds, Group *listeners);
bool load_pace(Group *group, double interval_ms, double seconds, bool with_acks, double drain_seconds,
               Group *listeners);
void load_idle(double seconds);
extern double worst_lag_ms;                     /* how late the last paced load was with an event */

#endif
