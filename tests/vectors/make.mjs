// Writes messages.json and record.json: bytes made by an encoder that is not ours (@msgpack/msgpack), so that the C
// side is compared with something else than itself. Run it after adding a message:  node tests/vectors/make.mjs

import {writeFileSync} from "node:fs";
import {fileURLToPath} from "node:url";
import {encode} from "@msgpack/msgpack";

const CODE = "Zm9vYmFyYmF6cXV4MTIzNA";
const EPOCH = "00c0ffee12345678";
const HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const NOW = 1767225600000;

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const value = (name, dir, json, more = {}) => ({name, dir, hex: hex(encode(json)), json, ...more});
const raw = (name, text, more) => ({name, dir: "c2s", hex: text.replaceAll(" ", ""), ...more});
const bad = (name, json, field) => value(name, "c2s", json, {expect: "bad_request", field});
const malformed = (name, json, field) => value(name, "c2s", json, {expect: "malformed", field});
const c2s = (name, json) => value(name, "c2s", json, {expect: "ok"});
const reply = (name, id, body) => value(name, "s2c", [64, id, body]);
const push = (biz_code, payload, position = {}) =>
  value(`PUSH ${biz_code}`, "s2c", [65, 0, {...position, biz_code, payload}]);
const inRoom = {room: "r1", epoch: EPOCH, seq: 17};

const requests = [
  c2s("HELLO", [1, 1, {token: "header.claims.signature", ver: 1}]),
  c2s("JOIN, first time", [2, 2, {room: "r1"}]),
  c2s("JOIN with the position reached", [2, 3, {room: "r1", epoch: EPOCH, seq: 16}]),
  c2s("JOIN, undefined sent as nil", [2, 3, {room: "r1", epoch: null, seq: null}]),
  c2s("LEAVE", [3, 4, {}]),
  c2s("PING", [4, 5, {t0: 123456}]),
  c2s("GRAB the first packet", [5, 6, {code: CODE, seq: 0}]),
  c2s("GRAB again", [5, 7, {code: CODE, seq: 0, again: true}]),
  c2s("GRAB the second packet", [5, 4294967295, {code: CODE, seq: 1, again: false}]),
  c2s("MY_GRANTS", [6, 8, {}]),
  c2s("MY_GRANTS of a rain", [6, 9, {code: CODE}]),
  c2s("SAY", [7, 10, {text: "恭喜发财 🧧"}]),
  c2s("HELLO of a guest", [1, 25, {ver: 1}]),
  c2s("REFRESH", [10, 26, {token: "header.claims.signature"}]),
  c2s("CREATE, least", [32, 11, {biz_id: "anchor-1:0001", total: 100000, count: 200}]),
  c2s("CREATE, all fields", [32, 12, {biz_id: "anchor-1:0002", total: 8888888, count: 1000,
    split: "double-mean", limit: 5, lo: 1, hi: 20000, shards: 4, duration_ms: 30000, text: "新年快乐"}]),
  c2s("CREATE with numbers the rain refuses later", [32, 13, {biz_id: "x", total: -1, count: 0}]),
  c2s("PREPARE", [33, 14, {code: CODE}]),
  c2s("START", [34, 15, {code: CODE, countdown_ms: 5000, duration_ms: 30000}]),
  c2s("EXTEND", [35, 16, {code: CODE, add_ms: 10000}]),
  c2s("CLOSE", [36, 17, {code: CODE}]),
  c2s("CANCEL", [37, 18, {code: CODE}]),
  c2s("ANNOUNCE", [38, 19, {text: "还有三分钟"}]),
  c2s("KICK", [39, 20, {user: "9223372036854775807", secs: 60}]),
  c2s("MUTE", [40, 21, {user: "1001", secs: 0}]),
  c2s("STATS", [41, 22, {}]),
  c2s("SEND, least", [8, 24, {biz_id: "u-1", kind: "group", total: 1000, count: 5}]),
  c2s("SEND, all fields", [8, 25, {biz_id: "u-2", kind: "personal", total: 800, count: 1, split: "double-mean", lo: 100, hi: 800,
    text: "生日快乐", users: "1001", expire_at: NOW + 86400000, random: true}]),
  c2s("FU_DRAW", [11, 28, {code: CODE, event: "signin"}]),
  c2s("FU_DRAW for a rain", [11, 29, {code: CODE, event: "rain", rain: CODE}]),
  c2s("FU_JOIN", [12, 30, {code: CODE}]),
  c2s("FU_GIVE", [13, 31, {code: CODE, biz_id: "gift-1", card: 5, to: "1002"}]),
  c2s("FU_MINE", [14, 32, {}]),
  c2s("FU_CREATE, least", [50, 33, {biz_id: "fu-1", pool: 1000000, share_at: NOW}]),
  c2s("FU_CREATE, all fields", [50, 34, {biz_id: "fu-1", pool: 1000000, share_at: NOW, text: "新春快乐", split: "equal", winners: 500,
    day_draws: 5, day_gifts: 20, weights: "3000,2500,2500,1500,500", stock: "30000,25000,25000,15000,500"}]),
  c2s("FU_CANCEL", [51, 35, {code: CODE}]),
  c2s("MY_SENT", [9, 26, {}]),
  c2s("MY_SENT, the next page", [9, 27, {before: CODE}]),
  c2s("CREATE of another kind", [32, 27, {biz_id: "a-3", total: 900, count: 3, kind: "enterprise", users: "11,22,33",
    start_at: NOW + 60000, expire_at: NOW + 86400000, random: false}]),
  c2s("WINNERS, first page", [43, 28, {code: CODE}]),
  c2s("WINNERS, the next page", [43, 29, {code: CODE, after_shard: 1, after_no: 41, limit: 100}]),
  c2s("WINNERS, one user", [43, 30, {code: CODE, user: "1001"}]),
  c2s("AUDIT", [44, 31, {before: 77}]),
  c2s("TEMPLATES, keep one", [45, 32, {name: "周五", spec: "{\"total\":10000}"}]),
  c2s("CHECK", [46, 33, {code: CODE}]),
  c2s("unknown keys are ignored", [5, 23, {user_id: 7, code: CODE, more: {a: [1, 2.5, null]}, seq: 2}]),
];

const refused = [
  bad("unknown op", [99, 1, {}], "op"),
  bad("op of the server", [64, 1, {result: 0}], "op"),
  bad("negative op", [-1, 1, {}], "op"),
  bad("a sixth card", [13, 1, {code: CODE, biz_id: "g", card: 6, to: "1002"}], "card"),
  bad("a gift to nobody", [13, 1, {code: CODE, biz_id: "g", card: 1, to: "0"}], "to"),
  bad("token missing", [10, 1, {}], "token"),
  bad("token nil", [10, 1, {token: null}], "token"),
  bad("token empty", [1, 1, {token: ""}], "token"),
  bad("room missing", [2, 1, {epoch: EPOCH, seq: 1}], "room"),
  bad("room too long", [2, 1, {room: "r".repeat(65)}], "room"),
  bad("epoch of a wrong length", [2, 1, {room: "r1", epoch: "ff"}], "epoch"),
  bad("seq negative", [2, 1, {room: "r1", epoch: EPOCH, seq: -1}], "seq"),
  bad("code an int", [5, 1, {code: 5, seq: 0}], "code"),
  raw("code as bin", "93 05 01 82 a4 636f6465 c4 01 78 a3 736571 00", {expect: "bad_request", field: "code"}),
  bad("seq missing", [5, 1, {code: CODE}], "seq"),
  bad("seq a string", [5, 1, {code: CODE, seq: "0"}], "seq"),
  bad("seq a float", [5, 1, {code: CODE, seq: 0.5}], "seq"),
  bad("seq beyond any limit", [5, 1, {code: CODE, seq: 1001}], "seq"),
  bad("again an int", [5, 1, {code: CODE, seq: 0, again: 1}], "again"),
  bad("text with a NUL", [7, 1, {text: "a\0b"}], "text"),
  bad("text too long", [7, 1, {text: "福".repeat(67)}], "text"),
  bad("total a float", [32, 1, {biz_id: "x", total: 100.5, count: 1}], "total"),
  bad("user an int", [39, 1, {user: 1001}], "user"),
  bad("user with a leading zero", [39, 1, {user: "01"}], "user"),
  bad("user negative", [40, 1, {user: "-1", secs: 1}], "user"),
  bad("user above int64", [40, 1, {user: "9223372036854775808", secs: 1}], "user"),
  bad("secs beyond a day", [40, 1, {user: "1", secs: 86401}], "secs"),
  raw("float 0.0 where an int belongs",
    "93 05 01 82 a4 636f6465 a1 78 a3 736571 ca 00000000", {expect: "bad_request", field: "seq"}),
  raw("total above int64",
    "93 20 01 83 a6 62697a5f6964 a1 78 a5 746f74616c cf 8000000000000000 a5 636f756e74 01",
    {expect: "bad_request", field: "total"}),
  raw("text that is no UTF-8", "93 07 01 81 a4 74657874 a2 c328", {expect: "bad_request", field: "text"}),
  raw("unknown key with an int above int64 is ignored",
    "93 03 01 81 a1 78 cf ffffffffffffffff", {expect: "ok"}),
];

const unreadable = [
  malformed("no array", {op: 1}, "frame"),
  malformed("nil", null, "frame"),
  malformed("two elements", [3, 1], "frame"),
  malformed("four elements", [3, 1, {}, {}], "frame"),
  malformed("id negative", [3, -1, {}], "id"),
  malformed("id above uint32", [3, 4294967296, {}], "id"),
  malformed("id a string", [3, "1", {}], "id"),
  malformed("op a string", ["LEAVE", 1, {}], "op"),
  malformed("body an array", [3, 1, []], "body"),
  malformed("body nil", [3, 1, null], "body"),
  malformed("nested too deep", [3, 1, {x: [[[[[[[1]]]]]]]}], "frame"),
  raw("empty", "", {expect: "malformed", field: "frame"}),
  raw("trailing byte", "93 03 01 80 00", {expect: "malformed", field: "frame"}),
  raw("truncated", "93 03 01", {expect: "malformed", field: "frame"}),
  raw("array32 of 4 billion", "dd ffffffff", {expect: "malformed", field: "frame"}),
  raw("map32 of 4 billion as body", "93 03 01 df ffffffff", {expect: "malformed", field: "frame"}),
  raw("str32 of 4 GiB", "93 07 01 81 a4 74657874 db ffffffff 61", {expect: "malformed", field: "frame"}),
  raw("bin32 of 4 GiB", "93 07 01 81 a4 74657874 c6 ffffffff 61", {expect: "malformed", field: "frame"}),
  raw("reserved byte", "93 03 01 c1", {expect: "malformed", field: "frame"}),
  raw("ext type", "93 03 01 81 a1 78 d4 01 00", {expect: "malformed", field: "frame"}),
  raw("timestamp", "93 03 01 81 a1 78 d6 ff 00000000", {expect: "malformed", field: "frame"}),
  raw("key an int", "93 03 01 81 01 01", {expect: "malformed", field: "frame"}),
  raw("key twice", "93 05 01 83 a4 636f6465 a1 78 a3 736571 00 a3 736571 01",
    {expect: "malformed", field: "body"}),
];

const replies = [
  reply("REPLY to HELLO", 1, {result: 0, user: "1001", name: "小明", role: "viewer", may_send: false, expires: NOW + 3600000, now: NOW}),
  reply("REPLY to REFRESH", 26, {result: 0, role: "viewer", may_send: true, expires: NOW + 7200000}),
  reply("REPLY to JOIN", 2, {result: 0, room: "r1", epoch: EPOCH, seq: 17, recovered: false, online: 3,
    rains: [], next: {}}),
  reply("REPLY to JOIN, recovered", 3, {result: 0, room: "r1", epoch: EPOCH, seq: 18, recovered: true,
    online: 3, rains: [], next: {[CODE]: 1},
    missed: [{room: "r1", epoch: EPOCH, seq: 18, biz_code: "ANNOUNCE", payload: {text: "hi", at: NOW}}]}),
  reply("REPLY to LEAVE", 4, {result: 0}),
  reply("REPLY to PING", 5, {result: 0, t0: 123456, t1: NOW + 0.125, t2: NOW + 0.25}),
  reply("REPLY to GRAB: OK", 6, {result: 0, code: CODE, seq: 0, shard: 1, no: 41, amount: 888, left: 158}),
  reply("REPLY to GRAB: PENDING", 7, {result: 1, code: CODE, seq: 0}),
  reply("REPLY to GRAB: SOLD_OUT", 4294967295, {result: 2, code: CODE, seq: 1}),
  reply("REPLY to GRAB: BUSY", 8, {result: 8, retry_after_ms: 200}),
  reply("REPLY to GRAB: BAD_SEQ", 9, {result: 11, next: 1}),
  reply("REPLY BAD_REQUEST", 10, {result: 9, field: "seq"}),
  reply("REPLY CONFLICT", 11, {result: 12, reason: "same biz_id with another payload"}),
  reply("REPLY to MY_GRANTS", 12, {result: 0, grants: [
    {code: CODE, seq: 1, shard: 1, no: 77, state: "confirming", at: NOW},
    {code: CODE, seq: 0, shard: 1, no: 41, amount: 888, state: "settled", at: NOW}]}),
];

const pushes = [
  push("RED_PACKET_CONFIG", {config_code: CODE, room: "r1", total_count: 200, total_price: 100000,
    split: "double-mean", split_ver: 1, lo: 1, hi: 100000, limit: 1, shards: 1, open_at: NOW + 5000, end_at: NOW + 65000, now: NOW,
    countdown_ms: 5000, seed_hash: HASH, text: "新年快乐", sender: "9", kind: "rain", sold_out_at: null}, inRoom),
  push("RED_PACKET_TICK", {config_code: CODE, granted: 42, granted_price: 21000, total_count: 200,
    now: NOW + 6000}, {room: "r1"}),
  push("RED_PACKET_END", {config_code: CODE, end_at: NOW + 65000, sold_out_at: NOW + 9000}, {room: "r1"}),
  push("RED_PACKET_RESULT", {config_code: CODE, total_count: 200, total_price: 100000, granted: 199,
    granted_price: 99500, refunded_price: 500, max_price: 990, split: "double-mean", split_ver: 1,
    lo: 1, hi: 100000, best: {user: "1001", amount: 990, shard: 0, no: 17}, top: [{user: "1001", amount: 990, shard: 0, no: 17},
      {user: "1002", amount: 960, shard: 0, no: 3}], hist: [[990, 1], [960, 2], [600, 196]], sold_out_at: null,
    seed: HASH, seed_hash: HASH}, {...inRoom, seq: 4294967296}),
  push("RED_PACKET_CANCEL", {config_code: CODE}, inRoom),
  push("RED_PACKET_STATE", {config_code: CODE, state: "RECOVERING", t0: NOW + 5000, t1: NOW + 65000, now: NOW + 9000}, inRoom),
  push("ROOM_COUNT", {online: 10000}, {room: "r1"}),
  push("GRANT_SETTLED", {code: CODE, seq: 0, shard: 1, no: 41, amount: 888, state: "settled"}),
  push("GRAB_RESULT", {result: 0, code: CODE, seq: 0, shard: 1, no: 41, amount: 888}),
  push("INVITE", {code: CODE, room: "r1", kind: "personal", sender: "9", text: "生日快乐", end_at: NOW + 86400000}),
  push("SENT_REPORT", {code: CODE, room: "r1", kind: "group", status: "SETTLED", total: 1000, count: 5, settled_fen: 600,
    refunded_fen: 400}),
  push("SAY", {user: "1001", name: "小明", text: "恭喜发财 🧧", at: NOW}, {room: "r1"}),
  push("FU_CAMPAIGN", {code: CODE, room: "r1", state: "OPEN", text: "新春快乐", sender: "9001", pool: 1000000, split: "double-mean", winners: 0,
    winners_max: 5000, day_draws: 5, share_at: NOW, rain: null, weights: [3000, 2500, 2500, 1500, 500]}, inRoom),
  push("FU_CARD", {code: CODE, room: "r1", card: 5, from: "1001"}),
  push("ANNOUNCE", {text: "还有三分钟", at: NOW}, inRoom),
  push("MUTED", {secs: 60}),
  push("KICKED", {secs: 60}),
  value("GOAWAY", "s2c", [66, 0, {delay_ms: 1500}]),
];

const record = {version: 1, biz_id: `${CODE}:1001:0`, code: CODE, shard: 1, packet_no: 41, user_id: 1001,
  room_id: "r1", seq: 0, price: 888, granted_at: NOW, rid: "0123456789abcdef0123456789abcdef01234567"};
const without = (key) => Object.fromEntries(Object.entries(record).filter(([k]) => k !== key));
const rec = (name, json, expect = "malformed") => ({name, hex: hex(encode(json)), json, expect});
const records = [
  rec("record", record, "ok"),
  rec("largest user a double can say", {...record, user_id: Number.MAX_SAFE_INTEGER,
    biz_id: `${CODE}:${Number.MAX_SAFE_INTEGER}:0`}, "ok"),
  rec("unknown keys are ignored", {extra: [1, {a: "b"}], ...record}, "ok"),
  ...Object.keys(record).map((key) => rec(`${key} missing`, without(key))),
  ...Object.keys(record).map((key) => rec(`${key} nil`, {...record, [key]: null})),
  rec("unknown version", {...record, version: 2}),
  rec("biz_id of another seq", {...record, biz_id: `${CODE}:1001:1`}),
  rec("biz_id of another user", {...record, biz_id: `${CODE}:1002:0`}),
  rec("user 0", {...record, user_id: 0, biz_id: `${CODE}:0:0`}),
  rec("user as a string", {...record, user_id: "1001"}),
  rec("price 0", {...record, price: 0}),
  rec("price negative", {...record, price: -1}),
  rec("price a float", {...record, price: 888.5}),
  rec("price above any rain", {...record, price: 1000000000001}),
  rec("shard 64", {...record, shard: 64}),
  rec("shard negative", {...record, shard: -1}),
  rec("packet_no a million", {...record, packet_no: 1000000}),
  rec("seq 1000", {...record, seq: 1000, biz_id: `${CODE}:1001:1000`}),
  rec("granted_at 0", {...record, granted_at: 0}),
  rec("code too long", {...record, code: CODE + "x", biz_id: `${CODE}x:1001:0`}),
  rec("code with a colon", {...record, code: "a:b", biz_id: "a:b:1001:0"}),
  rec("room_id empty", {...record, room_id: ""}),
  rec("an array", [1, 2, 3]),
  rec("nil", null),
];

const write = (file, list) =>
  writeFileSync(fileURLToPath(new URL(file, import.meta.url)),
    `[\n${list.map((v) => JSON.stringify(v)).join(",\n")}\n]\n`);

write("messages.json", [...requests, ...refused, ...unreadable, ...replies, ...pushes]);
write("record.json", records);
