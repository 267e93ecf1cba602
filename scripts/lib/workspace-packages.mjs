/**
 * For `node --import`, after tsx: modules outside of the workspace's packages can import these and what they depend on.
 * What a module cannot find among its own packages is looked for among those of sync-testing, and TypeScript in a
 * folder without a package.json is taken for an ES module.
 */
import { register } from "node:module"

const packages = new URL("../../packages/sync-testing/src/", import.meta.url).href

/** @type {import("node:module").ResolveHook} */
export const resolve = async (specifier, context, next) => {
  const resolved = await find(specifier, context, next)
  const typeScript = /\.tsx?(\?|$)/.test(resolved.url)
  return typeScript && resolved.format === "commonjs" ? { ...resolved, format: "module" } : resolved
}

/** @type {import("node:module").ResolveHook} */
const find = async (specifier, context, next) => {
  try {
    return await next(specifier, context)
  } catch (error) {
    const bare = !/^[./]|^[a-z]+:/.test(specifier)
    if (!bare || /** @type {NodeJS.ErrnoException} */ (error).code !== "ERR_MODULE_NOT_FOUND") throw error
    try {
      return await next(specifier, { ...context, parentURL: packages })
    } catch {
      throw error
    }
  }
}

// The module is loaded twice: by `--import`, and then as the hooks that it registers.
if (!import.meta.url.endsWith("?hooks")) register(`${import.meta.url}?hooks`)
