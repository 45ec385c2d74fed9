/* rain.pml - grab, outbox, settle, fence and close of one shard, for spin. README.md says what is and what is not modelled.
 * Every atomic block is one script of Redis, one transaction of SQL, or one record of Kafka; between any two of them everybody
 * else may act, crash or be paused. Each rule can be taken away (-DNO_…): the check must then fail. */

#ifndef USERS
#define USERS 2
#endif
#ifndef PACKETS
#define PACKETS 2
#endif
#ifndef TRIES
#define TRIES 2 /* attempts of each user: processes of their own, so an old one may wake up after a newer one */
#endif
#ifndef CRASHES
#define CRASHES 1 /* of Redis */
#endif
#ifndef RECOVERERS
#define RECOVERERS 2
#endif
#define ATTEMPTS (USERS * TRIES)
#define LOG_MAX (ATTEMPTS + 1)
#define NOBODY 0
#define VOID 9
#define NONE 15 /* NULL in SQL, "missing" in Redis */

mtype = {OPEN, CLOSED};
mtype = {SENT, CLOSING, SETTLED};

/* ---- Redis ---- */
byte run_id = 1;          /* run id of the process */
byte state_rid = 1;    /* state.rid; NONE: wiped */
mtype state = OPEN;
byte granted = 0;
byte users[USERS];     /* packet no + 1 */
bool outbox[PACKETS];
byte crashes = 0;

/* ---- Kafka: records in order; loss of acknowledged ones is not modelled ---- */
byte log_user[LOG_MAX];
byte log_no[LOG_MAX];
byte log_rid[LOG_MAX];
byte log_n = 0;

/* ---- SQL ---- */
byte offset = 0;
byte grant[PACKETS];  /* user + 1, VOID, or NOBODY */
byte won[USERS];      /* the same by user: packet no + 1 */
bool refunded[PACKETS];
byte escrow_rid = 1;
byte granted_k = NONE;
mtype status = SENT;

/* ---- what people saw ---- */
byte told[USERS];  /* packet no + 1 shown as won */
bool denied[USERS]; /* a final no */
bool fresh[ATTEMPTS]; /* its call was sent less than X ago: a report may still become an answer */

/* sent false: the queue is full or the broker away, the outbox has it. */
inline produce(u, no, rid, sent)
{
    atomic {
        sent = log_n < LOG_MAX;
        if
        :: sent ->
            log_user[log_n] = u;
            log_no[log_n] = no;
            log_rid[log_n] = rid;
            log_n++
        :: else -> skip
        fi
    }
}

/* One row into the books, by the rules of the settler: what contradicts them is set aside, unpaid. */
inline settle(u, no, rid)
{
    if
#ifndef NO_KEYS
    :: grant[no] == u + 1 && won[u] == no + 1 -> skip /* duplicate */
    :: !(grant[no] == u + 1 && won[u] == no + 1) && (grant[no] != NOBODY || won[u] != 0) -> skip /* conflict */
#endif
#ifndef NO_RID_IN_RECORD
    :: grant[no] == NOBODY && won[u] == 0 && rid != escrow_rid -> skip /* stale */
#endif
#ifndef NO_GRANTED_K
    :: grant[no] == NOBODY && won[u] == 0 && rid == escrow_rid && granted_k != NONE && no >= granted_k -> skip
#endif
    :: else ->
        /* Two owners of one packet, or two packets for one (user, seq). */
        assert(grant[no] == NOBODY && won[u] == 0);
        assert(!refunded[no]);
        grant[no] = u + 1;
        won[u] = no + 1
    fi
}

/* A frame (code, seq 0) and everything the server does for it until the viewer knows. */
proctype attempt(byte id; byte u)
{
    byte no;
    byte rid;
    bool replay;
    bool sent;

    atomic {
        if
        :: denied[u] -> goto gone /* the viewer stopped asking */
        :: else -> skip
        fi;
        replay = false;
        if
#ifndef NO_RUN_ID_CHECK
        :: state_rid != run_id -> goto gone /* RECOVERING */
        :: state_rid == run_id && users[u] != 0 ->
#else
        :: users[u] != 0 ->
#endif
#ifdef NO_REPLAY_FIRST
            if
            :: state == CLOSED -> denied[u] = true; goto gone
            :: else -> skip
            fi;
#endif
            no = users[u] - 1;
            rid = run_id;
            replay = true
        :: else ->
            if
            :: state == CLOSED -> denied[u] = true; goto gone
            :: state == OPEN && granted == PACKETS -> denied[u] = true; goto gone
            :: else ->
                no = granted;
                rid = run_id;
                users[u] = no + 1;
                outbox[no] = true;
                granted++
            fi
        fi;
        fresh[id] = true
    }
#ifdef REPLAY_TOLD_AT_ONCE
    if
    :: replay -> goto tell
    :: else -> skip
    fi;
#endif
    if
    :: goto gone /* the worker dies, or the reply is lost */
    :: skip
    fi;
    produce(u, no, rid, sent);
    if
    :: goto gone /* no report */
    :: sent -> skip
    fi;
#ifndef NO_DEADLINE
    if
    :: !fresh[id] -> goto gone /* the report came later than X: PENDING stands */
    :: fresh[id] -> skip
    fi;
#endif
tell:
    atomic {
#ifndef NO_DEADLINE
#ifndef REPLAY_TOLD_AT_ONCE
        if
        :: !fresh[id] -> goto gone
        :: else -> skip
        fi;
#endif
#endif
        assert(told[u] == 0 || told[u] == no + 1); /* two answers for one seq */
        told[u] = no + 1;
        /* Once the books are shut, what is told must stand in them. */
        assert(status != SETTLED || won[u] == no + 1)
    }
gone:
    atomic {
        fresh[id] = false;
        no = 0;
        rid = 0;
        replay = false;
        sent = false
    }
}

/* One sweep, at any time. */
proctype sweeper()
{
    byte no;
    byte i;
    byte u;
    byte rid;
    bool sent;

    atomic {
        no = 0;
        do
        :: no < PACKETS && !outbox[no] -> no++
        :: else -> break
        od;
        u = NONE;
        rid = state_rid;
        i = 0;
        do
        :: no < PACKETS && i < USERS ->
            if
            :: users[i] == no + 1 -> u = i
            :: else -> skip
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    if
    :: u != NONE ->
        produce(u, no, rid, sent);
        atomic {
            if
            :: sent && state_rid == rid -> outbox[no] = false
            :: else -> skip
            fi
        }
    :: else -> skip
    fi;
    atomic { no = 0; u = 0; rid = 0; sent = false }
}

/* A batch of one record and its offset are one transaction. */
proctype settler()
{
end:
    do
    :: atomic {
        offset < log_n ->
        settle(log_user[offset], log_no[offset], log_rid[offset]);
        offset++
    }
    od
}

/* A crash comes back with everything, with an image that lacks the last steps, or with nothing. */
proctype redis_faults()
{
    byte i;

    do
    :: crashes < CRASHES && status != SETTLED ->
        atomic {
            run_id++;
            crashes++;
            if
            :: skip
            :: state_rid = NONE;
                granted = 0;
                i = 0;
                do
                :: i < USERS -> users[i] = 0; i++
                :: else -> break
                od;
                i = 0;
                do
                :: i < PACKETS -> outbox[i] = false; i++
                :: else -> break
                od
            :: do /* the close is the last step, the grants before it go from the newest */
                :: state = OPEN; break
                :: granted > 0 ->
                    state = OPEN;
                    granted--;
                    outbox[granted] = false;
                    i = 0;
                    do
                    :: i < USERS ->
                        if
                        :: users[i] == granted + 1 -> users[i] = 0
                        :: else -> skip
                        fi;
                        i++
                    :: else -> break
                    od
                od
            :: granted > 0 -> outbox[granted - 1] = true /* an XDEL is lost */
            fi;
            i = 0
        }
    :: break
    od
}

/* Full recovery. Two of these run at once. */
proctype recoverer()
{
    byte from;
    byte to;
    byte high;
    byte floor;
    byte i;
    bool mine;
    mtype target;

    do
    :: status == SETTLED -> break
    :: atomic { state_rid != run_id && status != SETTLED -> from = state_rid; to = run_id }
#ifndef NO_WAIT
        atomic { /* X + 1 s: who had no report by now will never tell */
            i = 0;
            do
            :: i < ATTEMPTS -> fresh[i] = false; i++
            :: else -> break
            od;
            i = 0
        }
#endif
#ifndef NO_DRAIN
        high = log_n;
        (offset >= high);
#endif
#ifdef FLOOR_FIRST
        atomic {
            floor = 0;
            i = 0;
            do
            :: i < PACKETS ->
                if
                :: grant[i] != NOBODY && grant[i] != VOID -> floor = i + 1
                :: else -> skip
                fi;
                i++
            :: else -> break
            od
        }
#endif
        atomic { /* SQL: the new rid and the floor under one lock; only for a Redis that still runs */
            mine = (run_id == to);
            if
            :: mine ->
                escrow_rid = to;
                if
                :: status == SENT -> target = OPEN
                :: else -> target = CLOSED /* whatever the image on the disk says */
                fi;
#ifndef FLOOR_FIRST
                floor = 0;
                i = 0;
                do
                :: i < PACKETS ->
                    if
                    :: grant[i] != NOBODY && grant[i] != VOID -> floor = i + 1
                    :: else -> skip
                    fi;
                    i++
                :: else -> break
                od;
                i = 0
#endif
            :: else -> skip
            fi
        }
        atomic { /* the script */
            if
#ifndef NO_RECOVERY_GUARD
            :: mine && run_id == to && state_rid == from && state_rid != run_id ->
#else
            :: mine && run_id == to ->
#endif
                i = 0;
                do
                :: i < USERS ->
                    if
                    :: won[i] != 0 -> users[i] = won[i]
                    :: won[i] == 0 && users[i] > floor -> users[i] = 0
                    :: else -> skip
                    fi;
                    i++
                :: else -> break
                od;
                i = 0;
                do
                :: i < PACKETS -> outbox[i] = false; i++
                :: else -> break
                od;
                granted = floor;
                state = target;
                state_rid = to
            :: else -> skip
            fi;
            from = 0;
            to = 0;
            high = 0;
            floor = 0;
            i = 0;
            mine = false
        }
    od
}

proctype closer()
{
    byte k;
    byte no;
    byte u;
    byte i;
    byte rid;
    bool same;

    status = CLOSING;
again:
    atomic { (state_rid == run_id && state_rid == escrow_rid) -> state = CLOSED; k = granted }
    atomic { /* granted_k, once */
        if
        :: state_rid != escrow_rid -> goto again
        :: else -> skip
        fi;
        if
        :: granted_k == NONE ->
            granted_k = k;
            i = 0;
            do
            :: i < PACKETS ->
                if
                :: grant[i] != NOBODY && grant[i] != VOID && i + 1 > granted_k -> granted_k = i + 1
                :: else -> skip
                fi;
                i++
            :: else -> break
            od
        :: else -> skip
        fi
    }
    atomic { /* refund of the rest, by its biz id once */
        no = granted_k;
        do
        :: no < PACKETS ->
            assert(grant[no] == NOBODY);
            refunded[no] = true;
            no++
        :: else -> break
        od;
        no = 0;
        i = 0;
        k = 0
    }
#ifndef NO_COMPARE
    no = 0;
    do
    :: no < granted_k && grant[no] == NOBODY ->
        atomic {
            same = (state_rid == run_id && state_rid == escrow_rid);
            rid = state_rid;
            u = 0;
            i = NONE;
            do
            :: u < USERS ->
                if
                :: users[u] == no + 1 -> i = u
                :: else -> skip
                fi;
                u++
            :: else -> break
            od
        }
        if
        :: !same -> goto again
        :: same && i != NONE -> atomic { settle(i, no, rid) }
        :: same && i == NONE ->
            atomic { /* nobody has it */
                if
                :: grant[no] == NOBODY -> grant[no] = VOID; refunded[no] = true
                :: else -> skip
                fi
            }
        fi;
        atomic { no++; u = 0; i = 0; rid = 0; same = false }
    :: no < granted_k && grant[no] != NOBODY -> no++
    :: no >= granted_k -> break
    od;
#else
    atomic {
        no = 0;
        do
        :: no < granted_k ->
            if
            :: grant[no] == NOBODY -> grant[no] = VOID; refunded[no] = true
            :: else -> skip
            fi;
            no++
        :: else -> break
        od
    }
#endif
    atomic {
        no = 0;
        do
        :: no < PACKETS -> /* every fen is in one place */
            if
            :: grant[no] == NOBODY && !refunded[no] -> goto again
            :: else -> skip
            fi;
            assert(grant[no] == NOBODY || grant[no] == VOID || !refunded[no]);
            no++
        :: else -> break
        od;
        u = 0;
        do
        :: u < USERS ->
            assert(told[u] == 0 || told[u] == won[u]); /* told is paid */
            assert(!(denied[u] && told[u] == 0 && won[u] != 0)); /* no hidden win */
            u++
        :: else -> break
        od;
        status = SETTLED
    }
}

init
{
    byte i = 0;

    atomic {
        do
        :: i < ATTEMPTS -> run attempt(i, i / TRIES); i++
        :: else -> break
        od;
        run settler();
        run sweeper();
        run redis_faults();
        i = 0;
        do
        :: i < RECOVERERS -> run recoverer(); i++
        :: else -> break
        od;
        run closer();
        i = 0
    }
}
