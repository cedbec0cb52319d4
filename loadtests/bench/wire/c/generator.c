/* Reads commands from standard input, one a line, and answers each with one line of JSON: what happened meanwhile.
 *
 *   group NAME AUTH-FILE|- GREETED(0|1) ROWS(0|1) PORT      clients that are counted together, of the server there
 *   events NAME FILE                                         what they send: line i is client i's, the last one the rest's
 *   look NAME FILE TOGETHER                                  find their dots in frames: line i is client i's rider number,
 *                                                            and so many that follow one another see one another
 *   open NAME COUNT AT-ONCE SECONDS                          connect them
 *   once NAME AT-ONCE SECONDS                                each sends its event and is answered
 *   flow NAME WINDOW SECONDS LISTENERS|-                     a window of events without an answer
 *   pace NAME INTERVAL-MS SECONDS ACKS(0|1) DRAIN-SECONDS LISTENERS|-   each sends once in an interval
 *   idle SECONDS                                             answer pings
 *   close NAME                                               reset its connections
 */
#define _GNU_SOURCE
#include "generator.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static Group groups[MOST_GROUPS];
static size_t group_count;

static void give_up(const char *why) {
    fprintf(stderr, "generator: %s\n", why);
    exit(2);
}

static Group *find(const char *name) {
    for (size_t i = 0; i < group_count; i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    if (strcmp(name, "-") == 0)
        return NULL;
    give_up("no such group");
    return NULL;
}

static Group *require(const char *name) {
    Group *group = find(name);
    if (group == NULL)
        give_up("this command needs a group");
    return group;
}

static void add_group(const char *name, const char *path, int greeted, int rows, int port) {
    if (group_count == MOST_GROUPS)
        give_up("too many groups");
    Group *group = &groups[group_count++];
    snprintf(group->name, sizeof group->name, "%s", name);
    if (strcmp(path, "-") != 0)
        group->auths = read_lines(path, &group->auth_count);
    group->greeted = greeted;
    group->counts_rows = rows;
    group->port = port;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void reset(void) {
    memset(&latency, 0, sizeof latency);
    memset(&sightings, 0, sizeof sightings);
    for (size_t i = 0; i < group_count; i++)
        memset(&groups[i].counters, 0, sizeof groups[i].counters);
}

static void report_times(const char *name, const Histogram *told) {
    printf("\"%s\":{\"count\":%lu,\"p50\":%lu,\"p99\":%lu,\"max\":%lu},", name, told->count, percentile_us(told, 0.5),
           percentile_us(told, 0.99), told->largest);
}

static void report(bool done, double seconds, double cpu) {
    printf("{\"done\":%s,\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"lag_ms\":%.3f,", done ? "true" : "false", seconds, cpu,
           worst_lag_ms);
    report_times("latency_us", &latency);
    report_times("sightings_us", &sightings);
    printf("\"groups\":{");
    for (size_t i = 0; i < group_count; i++) {
        const Counters *told = &groups[i].counters;
        printf("%s\"%s\":{\"ready\":%zu,\"sent\":%lu,\"acks\":%lu,\"refused\":%lu,\"frames\":%lu,\"bytes\":%lu,"
               "\"events\":%lu,\"rows\":%lu,\"closed\":%lu}",
               i ? "," : "", groups[i].name, groups[i].ready, told->sent, told->acks, told->refused, told->frames,
               told->bytes, told->events, told->rows, told->closed);
    }
    printf("}}\n");
    fflush(stdout);
}

static bool carry_out(const char *line) {
    char name[32], other[512];
    int whole, more, port;
    double seconds, milliseconds, drain;
    if (sscanf(line, "group %31s %511s %d %d %d", name, other, &whole, &more, &port) == 5)
        return add_group(name, other, whole, more, port), true;
    if (sscanf(line, "events %31s %511s", name, other) == 2) {
        Group *group = require(name);
        group->templates = read_templates(other, &group->template_count);
        return group->template_count > 0;
    }
    if (sscanf(line, "look %31s %511s %d", name, other, &whole) == 3)
        return look_for(require(name), other, (uint32_t)whole);
    if (sscanf(line, "open %31s %d %d %lf", name, &whole, &more, &seconds) == 4)
        return load_open(require(name), (size_t)whole, (size_t)more, seconds);
    if (sscanf(line, "once %31s %d %lf", name, &whole, &seconds) == 3)
        return load_once(require(name), (size_t)whole, seconds);
    if (sscanf(line, "flow %31s %d %lf %31s", name, &whole, &seconds, other) == 4)
        return load_flow(require(name), (uint32_t)whole, seconds, find(other));
    if (sscanf(line, "pace %31s %lf %lf %d %lf %31s", name, &milliseconds, &seconds, &more, &drain, other) == 6)
        return load_pace(require(name), milliseconds, seconds, more, drain, find(other));
    if (sscanf(line, "idle %lf", &seconds) == 1)
        return load_idle(seconds), true;
    if (sscanf(line, "close %31s", name) == 1) {
        Group *group = require(name);
        for (size_t i = 0; i < group->count; i++)
            close_client(&group->clients[i]);
        return true;
    }
    give_up("no such command");
    return false;
}

/* Between two commands pings are still answered. False at the end of standard input. */
static bool next_line(char *line, size_t room) {
    static char read_ahead[4096];
    static size_t kept;
    for (;;) {
        char *end = memchr(read_ahead, '\n', kept);
        if (end != NULL) {
            size_t length = (size_t)(end - read_ahead);
            snprintf(line, room, "%.*s", (int)length, read_ahead);
            kept -= length + 1;
            memmove(read_ahead, end + 1, kept);
            return true;
        }
        struct epoll_event happened;
        int count = epoll_wait(loop_fd, &happened, 1, -1);
        if (count == 1 && happened.data.ptr != NULL)
            handle_client(happened.data.ptr, happened.events);
        else if (count == 1) {
            ssize_t got = read(STDIN_FILENO, read_ahead + kept, sizeof read_ahead - kept);
            if (got <= 0)
                return false;
            kept += (size_t)got;
        }
    }
}

int main(void) {
    char line[4096];
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    struct rlimit files;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    loop_fd = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(loop_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input);
    while (next_line(line, sizeof line)) {
        double cpu = cpu_seconds();
        uint64_t start = now_ns();
        reset();
        bool done = carry_out(line);
        report(done, (double)(now_ns() - start) / 1e9, cpu_seconds() - cpu);
    }
    return 0;
}
