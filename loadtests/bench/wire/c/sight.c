/* Riders who see one another: how long a position takes from being sent to being in a frame of each who watches.
 *
 * A rider's heading says which sending a row is of ({turn}: 2 degrees for each, as rows have it). A watcher counts a
 * sending once, however often its row comes.
 */
#define _GNU_SOURCE
#include "generator.h"

#include <stdlib.h>
#include <string.h>

enum { RIDER = 0, HEADING = 3, COLUMNS = 6, NEVER = 255 };

static struct { Group *group; uint32_t index; } by_number[MOST_RIDER_NUMBERS];

bool look_for(Group *group, const char *path, uint32_t together) {
    size_t count;
    char **numbers = read_lines(path, &count);
    for (size_t i = 0; i < count; i++) {
        long number = atol(numbers[i]);
        if (number <= 0 || number >= MOST_RIDER_NUMBERS)
            return false;
        by_number[number].group = group;
        by_number[number].index = (uint32_t)i;
    }
    group->together = together;
    return together > 0;
}

void turned(Client *client, uint32_t sequence) {
    if (client->turned_at == NULL)
        client->turned_at = calloc(TURNS, sizeof *client->turned_at);
    client->turned_at[sequence % TURNS] = now_ns();
}

static bool is_news(Client *watcher, uint32_t place, uint8_t turn) {
    uint32_t together = watcher->group->together;
    if (watcher->last_turn == NULL) {
        watcher->last_turn = malloc(together);
        memset(watcher->last_turn, NEVER, together);
    }
    bool news = watcher->last_turn[place] != turn;
    watcher->last_turn[place] = turn;
    return news;
}

static void see(Client *watcher, const long *row) {
    long number = row[RIDER], turn = row[HEADING];
    uint32_t together = watcher->group->together;
    if (number <= 0 || number >= MOST_RIDER_NUMBERS || turn < 0 || turn >= TURNS)
        return;
    Group *group = by_number[number].group;
    uint32_t index = by_number[number].index;
    if (group != watcher->group || index / together != watcher->index / together)
        return;
    Client *rider = &group->clients[index];
    if (rider->turned_at != NULL && rider->turned_at[turn] && is_news(watcher, index % together, (uint8_t)turn))
        remember(&sightings, rider->turned_at[turn]);
}

/* Counts the rows of a location:frame, the arrays in its array of riders, and looks at each. */
uint64_t see_rows(Client *client, const uint8_t *text, size_t length) {
    static const char RIDERS[] = "\"riders\":[";
    const uint8_t *at = memmem(text, length, RIDERS, sizeof RIDERS - 1), *end = text + length;
    uint64_t rows = 0;
    if (at == NULL)
        return 0;
    for (at += sizeof RIDERS - 1; at < end && *at == '['; rows++) {
        long row[COLUMNS] = {0};
        for (int column = 0; at < end && *at != ']'; column++) {
            char *after;
            long value = strtol((const char *)at + 1, &after, 10);
            if (column < COLUMNS)
                row[column] = value;
            at = (const uint8_t *)after;
        }
        if (client->group->together)
            see(client, row);
        at += 2; /* "],[" or "]]" */
    }
    return rows;
}
