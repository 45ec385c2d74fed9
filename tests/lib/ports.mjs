// Ports for tests.
import {createServer} from "node:net";

const FIRST_PORT = 15000;
const PORTS = 17000;

/** A free loopback port below the ephemeral range, so that no outgoing socket takes it before it is bound. */
export async function freePort() {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (free) return port;
  }
  throw new Error("no free port");
}
