// Needs no services: pool runs with Redis alone.
import {cpus, release, totalmem} from "node:os";

/** The machine, for whoever reads the numbers later. */
export const machine = () => ({
  cpu: cpus()[0].model, cores: cpus().length, memory_gib: Number((totalmem() / 2 ** 30).toFixed(1)), kernel: release(), node: process.version,
});
