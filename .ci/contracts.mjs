// Holds the served documents against the published contracts: every operation listed in .ci/contracts/NAME.txt conforms.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..");
const SHARED = process.env.CONTRACTS ?? join(ROOT, "..", "shared");
const CHECK = join(SHARED, "tools", "contract-check.mjs");

if (!existsSync(CHECK)) {
  console.error(`the contracts are not at ${SHARED}; say where with CONTRACTS=DIR`);
  process.exit(1);
}

let bad = 0;
let good = 0;
for (const file of readdirSync(join(HERE, "contracts")).sort()) {
  const name = file.replace(/\.txt$/, "");
  const served = join(ROOT, "dist", "openapi", `${name}.json`);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [CHECK, served, join(SHARED, "contracts", `${name}.json`), "--json"],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  if (!stdout) throw new Error(stderr);
  const findings = new Map(JSON.parse(stdout).rows.map((row) => [row.operation, row.findings]));
  const wanted = readFileSync(join(HERE, "contracts", file), "utf8")
    .split("\n")
    .filter(Boolean);
  for (const operation of wanted) {
    const found = findings.get(operation) ?? ["the contract has no such operation"];
    if (found.length === 0) good += 1;
    else bad += 1;
    for (const finding of found) console.log(`${name}: ${operation}: ${finding}`);
  }
}
console.log(`contracts: ${good} operations conform, ${bad} do not`);
process.exit(bad === 0 && good > 0 ? 0 : 1);
