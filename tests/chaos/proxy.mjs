// A TCP proxy between one program and one service, with ways to hurt what goes through it.
import {connect, createServer} from "node:net";

/**
 * Modes:
 *   pass     bytes go both ways
 *   refuse   connections are reset, new ones too
 *   hole     nothing is forwarded; what arrived waits until the mode changes
 *   deaf     requests go through, answers are thrown away; a connection that lost one is reset at the end of it
 */
export class Proxy {
  #server;
  #pairs = new Set();
  mode = "pass";
  cuts = 0;

  static async open(targetPort, port = 0) {
    const p = new Proxy();
    p.targetPort = targetPort;
    p.#server = createServer((client) => p.#accept(client));
    await new Promise((resolve, reject) => {
      p.#server.once("error", reject);
      p.#server.listen(port, "127.0.0.1", resolve);
    });
    p.port = p.#server.address().port;
    return p;
  }

  #accept(client) {
    if (this.mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const service = connect({host: "127.0.0.1", port: this.targetPort});
    const pair = {client, service, lost: false};
    this.#pairs.add(pair);
    client.setNoDelay(true);
    service.setNoDelay(true);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      service.destroy();
    };
    for (const socket of [client, service]) {
      socket.on("error", end);
      socket.on("close", end);
    }
    client.on("data", (data) => {
      if (!service.write(data)) client.pause();
    });
    service.on("drain", () => { if (this.mode !== "hole") client.resume(); });
    client.on("drain", () => { if (this.mode !== "hole") service.resume(); });
    service.on("data", (data) => {
      if (this.mode === "deaf") {
        pair.lost = true;
        return;
      }
      if (!client.write(data)) service.pause();
    });
    if (this.mode === "hole") this.#hold(pair);
  }

  #hold(pair) {
    pair.client.pause();
    pair.service.pause();
  }

  #reset(pair) {
    pair.client.resetAndDestroy();
    pair.service.destroy();
    this.#pairs.delete(pair);
  }

  set(mode) {
    if (mode === this.mode) return;
    if (mode !== "pass") this.cuts += 1;
    const before = this.mode;
    this.mode = mode;
    for (const pair of [...this.#pairs]) {
      if (mode === "refuse" || (before === "deaf" && pair.lost)) this.#reset(pair);
      else if (mode === "hole") this.#hold(pair);
      else {
        pair.client.resume();
        pair.service.resume();
      }
    }
  }

  close() {
    for (const pair of [...this.#pairs]) this.#reset(pair);
    this.#server.close();
  }
}
