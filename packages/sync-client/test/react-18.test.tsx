/** The tests of the hooks on React 18. */
import "./react-18.ts"
import { version } from "react"
import { expect, it } from "vitest"
import "./react.test.tsx"
import "./react-suspense.test.tsx"
import "./react-drawing.test.tsx"

it("runs on React 18", () => {
  expect(version).toBe("18.3.1")
})
