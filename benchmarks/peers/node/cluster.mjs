// Runs the program that it is given once per core, as it is deployed; the workers share the port.
import cluster from "node:cluster";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";

cluster.setupPrimary({ exec: resolve(process.argv[2]) });
for (let n = 0; n < availableParallelism(); n++) cluster.fork();

let stopping = false;
process.on("SIGTERM", () => {
  stopping = true;
  for (const worker of Object.values(cluster.workers)) worker.kill();
});
cluster.on("exit", (worker, code) => {
  if (!stopping) {
    console.error(`worker ${worker.id} ended with ${code}`);
    process.exit(1);
  }
});
