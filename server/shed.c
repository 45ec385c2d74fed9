#include "shed.h"

#include "base/err.h"

enum { KEEP_PERCENT = 70 };

/* Percent of the options at which a level begins. */
static const int64_t begins[] = {[SHED_NONE] = 0,
                                 [SHED_CONNECTIONS] = 100,
                                 [SHED_LATEST] = 150,
                                 [SHED_COMMANDS] = 200,
                                 [SHED_GRABS] = 300};

static const char *const names[] = {"none", "connections", "latest", "commands", "grabs"};

static int64_t percent_of(int64_t value, int64_t full)
{
    return full > 0 ? value / ((full + 99) / 100) : 0;
}

/* Of a level, or of what would take it back. */
static int64_t pressure(const struct shed *s, enum shed_level level, const struct shed_view *v)
{
    int64_t late_us = level == SHED_GRABS && v->stall_us < v->lag_us ? v->stall_us : v->lag_us;
    int64_t lag = percent_of(late_us, s->opts.lag_us);
    int64_t queue = percent_of(v->queue_bytes, s->opts.queue_bytes);

    return lag > queue ? lag : queue;
}

/* Grabs have a bound of their own at every level; while it refuses some, the levels before theirs are in force. */
static bool called_for(const struct shed *s, enum shed_level level, int64_t keep_percent,
                       const struct shed_view *v)
{
    return pressure(s, level, v) * 100 / keep_percent >= begins[level] ||
           (v->grabs_refused && level < SHED_GRABS);
}

static bool lasts(int64_t *since_us, bool is_so, int64_t now_us, int64_t long_us)
{
    if (!is_so)
        *since_us = 0;
    else if (*since_us == 0)
        *since_us = now_us;
    return is_so && now_us - *since_us >= long_us;
}

bool shed_step(struct shed *s, const struct shed_view *v)
{
    bool more = s->level < SHED_GRABS && called_for(s, s->level + 1, 100, v);
    bool less = s->level > SHED_NONE && !called_for(s, s->level, KEEP_PERCENT, v);

    RR_ASSERT(v->now_us > 0);
    more = lasts(&s->more_us, more, v->now_us, SHED_RISE_US);
    less = lasts(&s->less_us, less, v->now_us, s->opts.hold_us);
    if (!more && !less)
        return false;
    s->level = more ? s->level + 1 : s->level - 1;
    s->more_us = 0;
    s->less_us = 0;
    return true;
}

const char *shed_level_name(enum shed_level level)
{
    return names[level];
}
