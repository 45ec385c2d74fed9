// What SQL knows about a rain and its viewers. Reads only.
import {createRequire} from "node:module";

const require = createRequire(new URL("../../../tests/package.json", import.meta.url));

const GRANT_SETTLED = 1;
const GRANT_HELD = 2;

export class Books {
  #db;

  static async open(url) {
    const books = new Books();
    const mysql = require("mysql2/promise");
    books.#db = await mysql.createConnection({uri: url, supportBigNumbers: true, bigNumberStrings: true});
    return books;
  }

  async #rows(sql, values) {
    const [rows] = await this.#db.query(sql, values);
    return rows;
  }

  /** Map user → balance + frozen, of the users first…last. */
  async wallets(first, last) {
    const rows = await this.#rows(
      "SELECT CAST(user_id AS CHAR) AS user, balance + frozen AS fen FROM wallet WHERE user_id BETWEEN ? AND ?",
      [first, last]);
    return new Map(rows.map((r) => [r.user, Number(r.fen)]));
  }

  /** Sums over the escrow of a rain. */
  async escrow(code) {
    const [row] = await this.#rows(
      `SELECT COUNT(*) AS shards, COALESCE(SUM(total), 0) AS total, COALESCE(SUM(remain), 0) AS remain,
        COALESCE(SUM(settled), 0) AS settled, COALESCE(SUM(settled_cnt), 0) AS settled_cnt,
        COALESCE(SUM(refunded), 0) AS refunded FROM rp_escrow WHERE code = ?`, [code]);
    return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)]));
  }

  /** Grants that are a user's: settled, or held for him. Void ones belong to nobody. */
  async grants(code) {
    const rows = await this.#rows(
      `SELECT CAST(user_id AS CHAR) AS user, seq, shard, packet_no, amount FROM rp_grant
        WHERE code = ? AND state IN (${GRANT_SETTLED}, ${GRANT_HELD})`, [code]);
    return rows.map((r) => ({
      ...r, seq: Number(r.seq), shard: Number(r.shard), packet_no: Number(r.packet_no), amount: Number(r.amount),
    }));
  }

  /** The newest entry of the account log: what comes later is of this run or beside it. */
  async logPosition() {
    const [row] = await this.#rows("SELECT CAST(COALESCE(MAX(id), 0) AS CHAR) AS id FROM account_log");
    return row.id;
  }

  /** Entries after a position on the wallets of first…last (ids of the same length, compared as text). */
  async credits(first, last, position) {
    const rows = await this.#rows(
      `SELECT account_id AS user, biz_id, delta FROM account_log
        WHERE id > ? AND account_kind IN ('balance', 'frozen') AND account_id BETWEEN ? AND ?`,
      [position, String(first), String(last)]);
    return rows.map((r) => ({...r, delta: Number(r.delta)}));
  }

  close() {
    return this.#db.end();
  }
}
