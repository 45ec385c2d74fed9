// A viewer with the pages' own client module, which keeps what a drain may not break: what he saw, and when he moved.
import {decode, encode} from "@msgpack/msgpack";
import WebSocket from "ws";
import {RedrainClient} from "../../web-demo/redrain-client.js";

/** Where new connections go; a test changes `target` as a balancer would. */
export class Balancer {
  constructor(stack) {
    this.stack = stack;
    this.target = stack.wsUrl;
  }

  /** From the moment the server's /readyz is not 200 any more, connections go elsewhere. Resolves then. */
  async follow(adminUrl, elsewhere) {
    for (;;) {
      const status = await fetch(`${adminUrl}/readyz`).then((a) => a.status, () => 0);
      if (status !== 200) {
        this.target = elsewhere;
        return status;
      }
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }
}

export class Follower {
  /** Payloads' n of biz_code SEEN, in order of arrival. */
  seen = [];
  /** Times (ms) at which a further socket was opened. */
  moves = [];
  /** States after the first "ready". */
  states = [];
  /** Room pushes' seqs. */
  seqs = [];

  static async enter(balancer, user, room) {
    const f = new Follower();
    const {stack} = balancer;
    let sockets = 0;
    class Socket extends WebSocket {
      constructor(_url, protocol) {
        super(balancer.target, protocol, {origin: stack.origin, perMessageDeflate: false});
        sockets += 1;
        if (sockets > 1) f.moves.push(Date.now());
      }
    }
    f.user = String(user);
    f.client = new RedrainClient({
      url: balancer.target, token: () => stack.mint(f.user, {rooms: [room]}), WebSocket: Socket,
      msgpack: {encode, decode},
    });
    f.client.on("SEEN", (payload, {seq}) => {
      f.seen.push(payload.n);
      f.seqs.push(seq);
    });
    await f.client.connect();
    await f.client.join(room);
    f.client.on("state", ({state}) => f.states.push(state));
    return f;
  }

  close() { this.client.close(); }
}
