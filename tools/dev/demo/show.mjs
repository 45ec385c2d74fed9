// What a person sees of the demo: a live line, a table, the verdict.

const CLEAR = "\r\x1b[2K";
const yuan = (fen) => `¥${(fen / 100).toFixed(2)}`;
const whole = (n) => (n === undefined || n === null ? "-" : Math.round(n).toLocaleString("en-US"));
const ms = (n) => (n === undefined || n === null ? "-" : `${Number(n).toFixed(1)} ms`);

/** One line, written over itself on a terminal, else printed whenever it changes (once a second at most). */
export class LiveLine {
  #last = "";
  #tty = process.stderr.isTTY;

  show(phase, crowd, settled) {
    const line = `${phase.padEnd(11)} connected ${whole(crowd.connected)}  joined ${whole(crowd.joined)}  ` +
      `pushed ${whole(crowd.push_received)}  grabs/s ${whole(crowd.grabs_per_s)}  told ${whole(crowd.told)}  ` +
      `pending ${whole(crowd.pending)}  settled ${whole(settled)}`;
    if (line === this.#last) return;
    this.#last = line;
    process.stderr.write(this.#tty ? CLEAR + line : `${line}\n`);
  }

  end() {
    if (this.#tty && this.#last !== "") process.stderr.write("\n");
    this.#last = "";
  }
}

export function table(f) {
  const rows = [
    ["viewers", `${whole(f.viewers)}  (joined ${whole(f.joined)}, got the announcement ${whole(f.push_received)})`],
    ["rain", `${whole(f.packets)} packets, ${yuan(f.total_fen)}, ${f.shards} shard(s), ${f.split}, ` +
      `at most ${f.limit} per viewer`],
    ["grabs", `${whole(f.grabs)}  (${whole(f.grabs_per_s)}/s)`],
    ["told", `${whole(f.told)} wins, ${yuan(f.told_fen)}  (PENDING first: ${whole(f.pending)}, ` +
      `viewers without a win: ${whole(f.losers)})`],
    ["told after", `p50 ${ms(f.told_p50_ms)}, p99 ${ms(f.told_p99_ms)}; announcement reached all in ${ms(f.push_last_ms)}`],
    ["settled", `${whole(f.settled)} packets, ${yuan(f.settled_fen)}`],
    ["refunded", yuan(f.refunded_fen)],
    ["lost / doubled", `${f.lost_wins} / ${f.doubled}`],
    ["unaccounted", `${f.unaccounted_fen} fen`],
    ["broker", f.broker === "memory" ? "IN MEMORY (not Kafka: nothing here shows durability)" : f.broker],
    ["wins log", f.wins_log],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n");
}
