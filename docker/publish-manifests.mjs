/**
 * Applies `publishConfig` to the packages' manifests, as publishing does: in the repository the packages
 * export their TypeScript sources, in the image their built files.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const packages = fileURLToPath(new URL("../packages", import.meta.url))
for (const name of readdirSync(packages)) {
  const file = join(packages, name, "package.json")
  const { publishConfig, ...manifest } = JSON.parse(readFileSync(file, "utf8"))
  writeFileSync(file, `${JSON.stringify({ ...manifest, ...publishConfig }, null, 2)}\n`)
}
