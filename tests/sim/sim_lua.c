/* sim_lua.c - store's scripts in Lua 5.1, as Redis runs them: KEYS, ARGV, redis.call, redis.sha1hex; conversions of Redis 7.
 * A rule that lives in a script is taken away by replacing its text. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "scripts.h"
#include "sim_redis.h"

enum { ARGS_MAX = 1200, COMPILED_MAX = 64 };

static lua_State *L;
static struct rdb *current;
static struct {
    const struct store_script *script;
    int ref;
} compiled[COMPILED_MAX];
static uint32_t compiled_n;
static enum sim_mutation mutated;
static const char *const (
    *rewrites)[2]; /* text, replacement: for the comparison with a real Redis */

/* ---- values ---- */

static void push(const struct rval *v)
{
    switch (v->type) {
    case R_NIL: lua_pushboolean(L, 0); break;
    case R_INT: lua_pushnumber(L, (lua_Number)v->i); break;
    case R_STR: lua_pushlstring(L, v->s.p, v->s.len); break;
    case R_STATUS:
        lua_createtable(L, 0, 1);
        lua_pushlstring(L, v->s.p, v->s.len);
        lua_setfield(L, -2, "ok");
        break;
    case R_ERROR:
        lua_createtable(L, 0, 1);
        lua_pushlstring(L, v->s.p, v->s.len);
        lua_setfield(L, -2, "err");
        break;
    case R_ARRAY:
        luaL_checkstack(L, 4, "reply too deep");
        lua_createtable(L, (int)v->n, 0);
        for (uint32_t i = 0; i < v->n; i++) {
            push(&v->el[i]);
            lua_rawseti(L, -2, (int)i + 1);
        }
        break;
    }
}

/* The value on the top of the stack, which stays there. */
static struct rval take(void)
{
    struct rval out = {.type = R_NIL};
    size_t len = 0;
    const char *p = NULL;

    switch (lua_type(L, -1)) {
    case LUA_TSTRING: p = lua_tolstring(L, -1, &len); return rval_str(rstr_copy(p, len));
    case LUA_TNUMBER: return rval_int((int64_t)lua_tonumber(L, -1));
    case LUA_TBOOLEAN: return lua_toboolean(L, -1) ? rval_int(1) : out;
    case LUA_TTABLE: break;
    default: return out;
    }
    lua_getfield(L, -1, "err");
    if (lua_type(L, -1) == LUA_TSTRING) {
        out = rval_error(lua_tostring(L, -1));
        lua_pop(L, 1);
        return out;
    }
    lua_pop(L, 1);
    lua_getfield(L, -1, "ok");
    if (lua_type(L, -1) == LUA_TSTRING) {
        out = (struct rval){.type = R_STATUS, .s = rstr_of(lua_tostring(L, -1))};
        lua_pop(L, 1);
        return out;
    }
    lua_pop(L, 1);
    out = rval_array((uint32_t)lua_objlen(L, -1) + 1);
    out.n = 0;
    for (int i = 1;; i++) {
        lua_rawgeti(L, -1, i);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            return out;
        }
        if (out.n < (uint32_t)lua_objlen(L, -2) + 1)
            out.el[out.n++] = take();
        lua_pop(L, 1);
    }
}

/* ---- what scripts may call ---- */

static int argument_error(lua_State *l)
{
    struct rval err = rval_error("ERR Lua redis lib command arguments must be strings or integers");

    push(&err);
    return lua_error(l);
}

static int on_call(lua_State *l)
{
    int n = lua_gettop(l);
    struct rstr argv[ARGS_MAX];
    struct rval out;

    if (n < 1 || n > ARGS_MAX)
        return luaL_error(l, "redis.call: %d arguments", n);
    for (int i = 0; i < n; i++) {
        size_t len = 0;
        const char *p = NULL;
        char number[64];

        if (lua_type(l, i + 1) == LUA_TNUMBER) {
            len = (size_t)snprintf(number, sizeof(number), "%.17g", lua_tonumber(l, i + 1));
            argv[i] = rstr_copy(number, len);
            continue;
        }
        p = lua_tolstring(l, i + 1, &len);
        if (!p)
            return argument_error(l);
        argv[i] = rstr_copy(p, len);
    }
    out = rdb_command(current, argv, (uint32_t)n);
    push(&out);
    return out.type == R_ERROR ? lua_error(l) : 1;
}

static int on_sha1hex(lua_State *l)
{
    size_t len = 0;
    const char *p = luaL_checklstring(l, 1, &len);
    unsigned char sum[SHA_DIGEST_LENGTH];
    char hex[2 * SHA_DIGEST_LENGTH + 1];

    SHA1((const unsigned char *)p, len, sum);
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    lua_pushstring(l, hex);
    return 1;
}

/* ---- mutations of the text ---- */

static const struct {
    enum sim_mutation mutation;
    const char *script;
    const char *text;
    const char *instead;
} mutations[] = {
    {MUT_run_id_check, "pool_grab", "string.sub(s[2] or '', 1, 32) ~= string.sub(rid, 1, 32) or",
     ""},
    {MUT_ended_first, "pool_grab", "if want < count ",
     "if refuse == 'E' then out[i] = refuse\n    elseif want < count "},
    {MUT_open_guard, "pool_open", "if s[1] == 'C' then", "if false then"},
    {MUT_open_guard, "pool_open", "if s[1] ~= 'P' then", "if false then"},
    {MUT_recovery_guard, "pool_refill", "if s[2] == ARGV[1] then", "if false then"},
    {MUT_recovery_guard, "pool_refill", "if redis.call('GET', KEYS[5]) ~= ARGV[1] then",
     "if false then"},
    {MUT_recovery_guard, "pool_refill", "if (s[2] or '') ~= ARGV[2] then", "if false then"},
};

static char *replace(char *text, const char *what, const char *instead, bool *found)
{
    char *at = strstr(text, what);
    char *out = NULL;
    size_t room = 0;

    if (!at)
        return text;
    *found = true;
    room = strlen(text) + strlen(instead) + 1;
    out = rr_xcalloc(1, room);
    snprintf(out, room, "%.*s%s%s", (int)(at - text), text, instead, at + strlen(what));
    free(text);
    return out;
}

static char *text_of(const struct store_script *s)
{
    char *text = rr_xstrndup((const char *)s->src, s->len);
    bool meant = false;
    bool found = false;

    for (size_t i = 0; i < sizeof(mutations) / sizeof(mutations[0]); i++) {
        if (mutations[i].mutation != mutated || strcmp(mutations[i].script, s->name) != 0)
            continue;
        meant = true;
        text = replace(text, mutations[i].text, mutations[i].instead, &found);
    }
    if (meant && !found) {
        fprintf(stderr, "redrain-sim: %s has no such rule to take away\n", s->name);
        exit(2);
    }
    for (size_t i = 0; rewrites && rewrites[i][0]; i++) {
        while (strstr(text, rewrites[i][0]))
            text = replace(text, rewrites[i][0], rewrites[i][1], &found);
    }
    return text;
}

char *lua_text(const struct store_script *s)
{
    return text_of(s);
}

void lua_rewrite(const char *const (*list)[2])
{
    rewrites = list;
}

void lua_init(enum sim_mutation mutation)
{
    if (L)
        lua_close(L);
    L = luaL_newstate();
    RR_ASSERT(L);
    compiled_n = 0;
    mutated = mutation;
    luaL_openlibs(L);
    lua_newtable(L);
    lua_pushcfunction(L, on_call);
    lua_setfield(L, -2, "call");
    lua_pushcfunction(L, on_sha1hex);
    lua_setfield(L, -2, "sha1hex");
    lua_setglobal(L, "redis");
}

void lua_fini(void)
{
    if (L)
        lua_close(L);
    L = NULL;
}

static int function_of(const struct store_script *s)
{
    char *text = NULL;

    for (uint32_t i = 0; i < compiled_n; i++) {
        if (compiled[i].script == s)
            return compiled[i].ref;
    }
    RR_ASSERT(compiled_n < COMPILED_MAX);
    text = text_of(s);
    if (luaL_loadbuffer(L, text, strlen(text), "@user_script")) {
        fprintf(stderr, "redrain-sim: %s\n", lua_tostring(L, -1));
        exit(2);
    }
    free(text);
    compiled[compiled_n].script = s;
    compiled[compiled_n].ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return compiled[compiled_n++].ref;
}

static void push_args(const char *name, const struct rstr *argv, uint32_t n)
{
    lua_createtable(L, (int)n, 0);
    for (uint32_t i = 0; i < n; i++) {
        lua_pushlstring(L, argv[i].p, argv[i].len);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_setglobal(L, name);
}

/* What a script died of: the error of a command as it was, one of Lua itself as an ERR. */
static struct rval error_of(void)
{
    const char *text = NULL;

    if (lua_type(L, -1) == LUA_TTABLE)
        return take();
    text = lua_pushfstring(L, "ERR %s", lua_tostring(L, -1));
    return rval_error(text);
}

struct rval lua_run(struct rdb *db, const struct store_script *script, const struct rstr *argv,
                    uint32_t argc)
{
    struct rval out;
    int64_t keys = 0;

    RR_ASSERT(argc > 0 && rstr_int(argv[0], &keys) && keys >= 0 && keys < argc);
    current = db;
    lua_rawgeti(L, LUA_REGISTRYINDEX, function_of(script));
    push_args("KEYS", argv + 1, (uint32_t)keys);
    push_args("ARGV", argv + 1 + keys, argc - 1 - (uint32_t)keys);
    sim.scripts++;
    if (lua_pcall(L, 0, 1, 0)) {
        out = error_of();
        sim_trace("script %s: %s", script->name, out.s.p);
    } else {
        out = take();
    }
    lua_settop(L, 0);
    return out;
}
