/** Import this before tests, and they run on the oldest React that the hooks work with. */
import { vi } from "vitest"

const { load } = vi.hoisted(() => ({
  load: async (name: string) => {
    const { createRequire } = await import("node:module")
    return createRequire(new URL("./react-18/package.json", import.meta.url))(name) as object
  }
}))

vi.mock("react", () => load("react"))
vi.mock("react/jsx-runtime", () => load("react/jsx-runtime"))
vi.mock("react/jsx-dev-runtime", () => load("react/jsx-dev-runtime"))
vi.mock("react-dom/client", () => load("react-dom/client"))
vi.mock("react-dom/server", () => load("react-dom/server"))
