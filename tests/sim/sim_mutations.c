/* sim_mutations.c - rules that live in C, taken away where the linker sees the call. Those in scripts are in sim_lua.c, those
 * of modelled steps in the steps. */
#include <string.h>

#include "rain/gate.h"
#include "rain/grab_pending.h"
#include "settle_decide.h"
#include "sim.h"

const char *const sim_mutation_names[MUT_COUNT] = {
#define X(name, what) #name,
    SIM_MUTATION_MAP(X)
#undef X
};
const char *const sim_mutation_texts[MUT_COUNT] = {
#define X(name, what) what,
    SIM_MUTATION_MAP(X)
#undef X
};

/* ---- memory's "no" to `again` ---- */

enum rr_err __real_gate_check(const struct live_rain *r, const char *room_id, int64_t user_id,
                              uint32_t seq, bool again, int64_t now_ms, int64_t slack_ms);
enum rr_err __wrap_gate_check(const struct live_rain *r, const char *room_id, int64_t user_id,
                              uint32_t seq, bool again, int64_t now_ms, int64_t slack_ms);

enum rr_err __wrap_gate_check(const struct live_rain *r, const char *room_id, int64_t user_id,
                              uint32_t seq, bool again, int64_t now_ms, int64_t slack_ms)
{
    return __real_gate_check(r, room_id, user_id, seq, again && sim.mutation != MUT_memory_no,
                             now_ms, slack_ms);
}

/* ---- a replay's own report; and a small table, as one is made per life of a server ---- */

struct grab_pending *__real_grab_pending_create(const struct grab_pending_opts *o);
struct grab_pending *__wrap_grab_pending_create(const struct grab_pending_opts *o);
enum pending_action __real_grab_pending_outcome(struct grab_pending *t, uint64_t id,
                                                const struct grab_outcome *o, int64_t now_us,
                                                struct pending_grab *out);
enum pending_action __wrap_grab_pending_outcome(struct grab_pending *t, uint64_t id,
                                                const struct grab_outcome *o, int64_t now_us,
                                                struct pending_grab *out);

struct grab_pending *__wrap_grab_pending_create(const struct grab_pending_opts *o)
{
    struct grab_pending_opts small = *o;

    small.cap = 256;
    return __real_grab_pending_create(&small);
}

enum pending_action __wrap_grab_pending_outcome(struct grab_pending *t, uint64_t id,
                                                const struct grab_outcome *o, int64_t now_us,
                                                struct pending_grab *out)
{
    enum pending_action action = __real_grab_pending_outcome(t, id, o, now_us, out);

    if (action == PENDING_PRODUCE && o->replay && sim.mutation == MUT_replay_report)
        return grab_pending_report(t, out->opaque, true, o->sent_us, out);
    return action;
}

/* ---- the run id of a record ---- */

struct settle_decision __real_settle_decide_row(const struct grant_record *rec,
                                                const struct settle_row_facts *facts);
struct settle_decision __wrap_settle_decide_row(const struct grant_record *rec,
                                                const struct settle_row_facts *facts);

struct settle_decision __wrap_settle_decide_row(const struct grant_record *rec,
                                                const struct settle_row_facts *facts)
{
    struct settle_row_facts f = *facts;

    if (sim.mutation == MUT_record_rid)
        f.rid = rec->rid;
    return __real_settle_decide_row(rec, &f);
}
