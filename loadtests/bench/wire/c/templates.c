/* Events as text with placeholders, so that what is sent is decided by whoever drives the generator.
 *
 * {seq} counts the sendings of a client from 0, {now} is milliseconds since the epoch, {turn} a heading in degrees by
 * which sendings are told apart (see sight.c), and {wave:B} is B plus a triangle of 0, 10, … 400, … 10 in five digits: as
 * decimals of degrees, a rider who goes to and fro at 11 m a step.
 */
#define _GNU_SOURCE
#include "generator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WAVE_STEPS = 40, WAVE_UNITS = 10 };

char **read_lines(const char *path, size_t *count) {
    FILE *file = fopen(path, "r");
    char **lines = NULL, *line = NULL;
    size_t room = 0, kept = 0, length = 0;
    ssize_t got;
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    while ((got = getline(&line, &length, file)) >= 0) {
        if (got > 0 && line[got - 1] == '\n')
            line[got - 1] = 0;
        if (kept == room)
            lines = realloc(lines, (room = room ? 2 * room : 64) * sizeof *lines);
        lines[kept++] = strdup(line);
    }
    free(line);
    fclose(file);
    *count = kept;
    return lines;
}

static Part placeholder(const char *at, size_t length) {
    if (strncmp(at, "{seq}", length) == 0)
        return (Part){SEQUENCE, NULL, 0, 0};
    if (strncmp(at, "{now}", length) == 0)
        return (Part){NOW_MS, NULL, 0, 0};
    if (strncmp(at, "{turn}", length) == 0)
        return (Part){TURN, NULL, 0, 0};
    if (strncmp(at, "{wave:", 6) == 0)
        return (Part){WAVE, NULL, 0, atol(at + 6)};
    return (Part){TEXT, at, length, 0};
}

/* JSON has braces of its own: only the names above are placeholders. */
static bool is_placeholder(const char *at) {
    return strncmp(at, "{seq}", 5) == 0 || strncmp(at, "{now}", 5) == 0 || strncmp(at, "{turn}", 6) == 0 ||
           strncmp(at, "{wave:", 6) == 0;
}

static Template parse(const char *line) {
    Template made = {NULL, 0};
    while (*line) {
        size_t length = 0;
        if (is_placeholder(line))
            length = (size_t)(strchr(line, '}') - line) + 1;
        else
            while (line[length] && !is_placeholder(line + length))
                length++;
        made.parts = realloc(made.parts, (made.count + 1) * sizeof *made.parts);
        made.parts[made.count++] = placeholder(line, length);
        line += length;
    }
    return made;
}

Template *read_templates(const char *path, size_t *count) {
    char **lines = read_lines(path, count);
    Template *made = calloc(*count, sizeof *made);
    for (size_t i = 0; i < *count; i++)
        made[i] = parse(lines[i]);
    free(lines); /* the lines themselves are what the parts point into */
    return made;
}

static long wave(long base, uint32_t sequence) {
    long step = sequence % (2 * WAVE_STEPS);
    return base + WAVE_UNITS * (step < WAVE_STEPS ? step : 2 * WAVE_STEPS - step);
}

static long long epoch_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

size_t write_event(char *out, size_t room, const Template *template, uint32_t sequence, long ack_id) {
    int used = ack_id < 0 ? snprintf(out, room, "42") : snprintf(out, room, "42%ld", ack_id);
    for (size_t i = 0; i < template->count && (size_t)used < room; i++) {
        const Part *part = &template->parts[i];
        char *at = out + used;
        size_t left = room - (size_t)used;
        switch (part->kind) {
        case TEXT: used += snprintf(at, left, "%.*s", (int)part->length, part->text); break;
        case SEQUENCE: used += snprintf(at, left, "%u", sequence); break;
        case NOW_MS: used += snprintf(at, left, "%lld", epoch_ms()); break;
        case TURN: used += snprintf(at, left, "%u", 2 * (sequence % TURNS)); break;
        case WAVE: used += snprintf(at, left, "%05ld", wave(part->base, sequence)); break;
        }
    }
    return (size_t)used < room ? (size_t)used : room - 1;
}
